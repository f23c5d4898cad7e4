#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Validates JSON lines against docs/eve.schema.json.

usage: check_schema.py [--schema FILE] FILE...        "-" reads standard input

Each line is checked by a validator compiled from the schema into Python closures (some 20 us a record; a library call
takes a millisecond). The first record of each shape (its keys and types) is also given to the jsonschema library: the
two must agree, so a mistake in the compiled one cannot hide. Exit status: 0 all valid, 1 not, 2 wrong call.
"""
import argparse
import json
import os
import re
import sys

TYPES = {
    "string": lambda v: type(v) is str,
    "integer": lambda v: type(v) is int,
    "number": lambda v: type(v) in (int, float),
    "boolean": lambda v: type(v) is bool,
    "object": lambda v: type(v) is dict,
    "array": lambda v: type(v) is list,
    "null": lambda v: v is None,
}


class Compiler:
    """Schema -> function(value, path) that returns None or a message. Unknown keywords are refused, not ignored."""

    NOTES = {"$schema", "title", "description", "$defs"}

    def __init__(self, root):
        self.root = root
        self.refs = {}

    def compile(self, schema):
        if schema is False:
            return lambda v, path: path + ": not allowed"
        checks = []
        for key, arg in schema.items():
            if key in self.NOTES or key in ("then", "additionalProperties"):
                continue
            make = getattr(self, "kw_" + key.lstrip("$"), None)
            if not make:
                raise SystemExit(f"check_schema.py: keyword {key} is not known here")
            checks.append(make(arg, schema))
        if "additionalProperties" in schema and "properties" not in schema:
            checks.append(self.kw_properties({}, schema))

        def check(v, path):
            for c in checks:
                message = c(v, path)
                if message:
                    return message
            return None

        return checks[0] if len(checks) == 1 else check

    def kw_ref(self, arg, _):
        name = arg.rsplit("/", 1)[1]
        if name not in self.refs:
            self.refs[name] = self.compile(self.root["$defs"][name])
        return self.refs[name]

    def kw_type(self, arg, _):
        types = [TYPES[t] for t in ([arg] if isinstance(arg, str) else arg)]
        return lambda v, path: None if any(t(v) for t in types) else f"{path}: is no {arg}"

    def kw_const(self, arg, _):
        return lambda v, path: None if v == arg and type(v) is type(arg) else f"{path}: is not {arg!r}"

    def kw_enum(self, arg, _):
        allowed = frozenset(arg)
        return lambda v, path: None if type(v) is str and v in allowed else f"{path}: {v!r} is none of {arg}"

    def kw_pattern(self, arg, _):
        search = re.compile(arg).search
        return lambda v, path: None if type(v) is not str or search(v) else f"{path}: {v!r} does not match {arg}"

    def kw_minimum(self, arg, _):
        return lambda v, path: None if v >= arg else f"{path}: {v} is under {arg}"

    def kw_maximum(self, arg, _):
        return lambda v, path: None if v <= arg else f"{path}: {v} is over {arg}"

    def kw_exclusiveMinimum(self, arg, _):
        return lambda v, path: None if v > arg else f"{path}: {v} is not over {arg}"

    def kw_minItems(self, arg, _):
        return lambda v, path: None if len(v) >= arg else f"{path}: fewer than {arg} items"

    def kw_maxItems(self, arg, _):
        return lambda v, path: None if len(v) <= arg else f"{path}: more than {arg} items"

    def kw_required(self, arg, _):
        names = frozenset(arg)
        return lambda v, path: None if v.keys() >= names else f"{path}: lacks {sorted(names - v.keys())}"

    def kw_propertyNames(self, arg, _):
        check = self.compile(arg)

        def run(v, path):
            for k in v:
                message = check(k, path + " (name)")
                if message:
                    return message
            return None

        return run

    def kw_items(self, arg, _):
        check = self.compile(arg)

        def run(v, path):
            for i, x in enumerate(v):
                message = check(x, f"{path}[{i}]")
                if message:
                    return message
            return None

        return run

    def kw_properties(self, arg, schema):
        table = {k: self.compile(s) for k, s in arg.items()}
        rest = schema.get("additionalProperties")
        other = None if rest is None else self.compile(rest)

        def run(v, path):
            for k, x in v.items():
                check = table.get(k, other)
                message = check(x, path + "." + k) if check else None
                if message:
                    return message
            return None

        return run

    def kw_if(self, arg, schema):
        condition, then = self.compile(arg), self.compile(schema["then"])
        return lambda v, path: None if condition(v, path) else then(v, path)

    def kw_allOf(self, arg, _):
        checks = [self.compile(s) for s in arg]

        def run(v, path):
            for c in checks:
                message = c(v, path)
                if message:
                    return message
            return None

        return run


def shape(v):
    if type(v) is dict:
        return tuple((k, shape(x)) for k, x in v.items())
    if type(v) is list:
        return ("[]",) + tuple({shape(x) for x in v})
    return type(v)


class Checker:
    def __init__(self, schema):
        self.check = Compiler(schema).compile(schema)
        self.library = None
        self.shapes = set()
        self.compared = 0
        try:
            import jsonschema

            self.library = jsonschema.Draft202012Validator(schema)
        except ImportError:
            print("check_schema.py: no python3-jsonschema, its second opinion is left out", file=sys.stderr)

    def line(self, text):
        try:
            record = json.loads(text, parse_constant=lambda c: 1 / 0)
        except (ValueError, ZeroDivisionError) as e:
            return f"is no JSON: {e}"
        if type(record) is not dict:
            return "is no object"
        message = self.check(record, "$")
        if self.library and (message or self.is_new(record)):
            self.compared += 1
            error = next(self.library.iter_errors(record), None)
            if bool(error) != bool(message):
                return f"validators disagree: {message!r}, jsonschema {error and error.message!r}"
        return message

    def is_new(self, record):
        s = shape(record)
        if s in self.shapes:
            return False
        self.shapes.add(s)
        return True


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    p = argparse.ArgumentParser()
    p.add_argument("--schema", default=os.path.join(here, "..", "docs", "eve.schema.json"))
    p.add_argument("files", nargs="+")
    args = p.parse_args()
    with open(args.schema, encoding="utf-8") as f:
        checker = Checker(json.load(f))
    lines = bad = 0
    for name in args.files:
        source = sys.stdin.buffer if name == "-" else open(name, "rb")
        for number, line in enumerate(source, 1):
            lines += 1
            message = checker.line(line) if line.endswith(b"\n") else "has no newline at its end"
            if message:
                bad += 1
                if bad <= 20:
                    print(f"{name}:{number}: {message}")
    print(f"{lines} records, {bad} bad, {len(checker.shapes)} shapes, {checker.compared} also checked by jsonschema")
    if not lines:
        print("nothing to check")
    return 1 if bad or not lines else 0


if __name__ == "__main__":
    sys.exit(main())
