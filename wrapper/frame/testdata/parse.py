"""Reads messages, one a line in base64, and tells of each in a line of JSON what Python makes of it: see answer in
parsers_test.go."""

import base64
import json
import struct
import sys

sys.setrecursionlimit(10000)  # for leaves; json.loads has had its own limit by then


def printable(s):
    """Writes every UTF-16 unit that is not plain ASCII as an escape, lone surrogates too."""
    raw = s.encode("utf-16-be", "surrogatepass")
    units = struct.unpack(">%dH" % (len(raw) // 2), raw)
    return "".join(chr(u) if 0x20 <= u <= 0x7E and u not in (0x22, 0x5C) else "\\u%04x" % u for u in units)


def scalar(v):
    if isinstance(v, str):
        return "s" + printable(v)
    if v is None or isinstance(v, bool):
        return json.dumps(v)
    if isinstance(v, (int, float)):
        try:
            number = float(v)
        except OverflowError:
            number = float("inf") if v > 0 else float("-inf")
        return "n" + struct.pack(">d", number or 0.0).hex()
    return "[" if isinstance(v, list) else "{"


def leaves(v, path, found):
    if not isinstance(v, (dict, list)) or not v:
        found.append(path + "=" + scalar(v))
    elif isinstance(v, dict):
        for key, value in v.items():
            leaves(value, path + '"' + printable(key) + '"', found)
    else:
        for i, value in enumerate(v):
            leaves(value, "%s[%d]" % (path, i), found)
    return found


def member(v, key):
    return scalar(v[key]) if isinstance(v, dict) and key in v else ""


def exactly(v):
    """Writes an id with all its digits, lest two of them be one number here."""
    if isinstance(v, (int, float)) and not isinstance(v, bool) and v == v // 1:
        return "i%d" % v
    return scalar(v)


def view(m):
    params = m.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    return {
        "method": member(m, "method"),
        "id": exactly(m["id"]) if "id" in m else "",
        "name": member(params, "name"),
        "uri": member(params, "uri"),
        "version": member(params, "protocolVersion"),
        "request": member(meta, "io.modelcontextprotocol/protocolVersion"),
    }


def answer(line):
    raw = base64.b64decode(line)
    try:
        text, guessed = json.loads(raw.decode("utf-8")), json.loads(raw)  # which guesses the encoding
    except (ValueError, RecursionError) as e:
        return {"refused": "%s: %.80s" % (type(e).__name__, e)}
    return {"views": [view(text), view(guessed)], "leaves": leaves(text, "", [])}


for line in sys.stdin.buffer:
    sys.stdout.write(json.dumps(answer(line)) + "\n")
    sys.stdout.flush()
