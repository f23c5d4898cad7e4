/* SPDX-License-Identifier: Apache-2.0 */
	.section .rodata
	.global detection_doc
	.global detection_doc_end
detection_doc:
	.incbin DETECTION_DOC
detection_doc_end:
	.byte 0
	.section .note.GNU-stack,"",%progbits
