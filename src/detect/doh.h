/* SPDX-License-Identifier: Apache-2.0 */
/* Inside src/detect only: public resolvers that the doh detector knows. */
#pragma once

#include "detect/engine.h"

/* Answers questions of everybody about everything: asked past the usual servers, a name is still its owner's. */
bool doh_is_server(const struct detect *d, const struct addr *a);
