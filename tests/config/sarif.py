# SPDX-License-Identifier: Apache-2.0
"""What SARIF 2.1.0 asks of the objects that `nines spof --sarif` writes.

The schema itself is not in this tree. This is what it, and the standard where a schema
cannot say it, ask of what we use of it: which properties an object may and must have, of
which type, with which values. What we do not write is not known here, so that a new
property fails until somebody has looked it up.
"""
import re
import urllib.parse

TEXT, COUNT = "text", "count"


def one_of(*values):
    return lambda value: value in values


def matches(pattern):
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


def is_reference(value):
    """RFC 3986: nothing that has to be written as %XX, and no scheme but file:."""
    if not isinstance(value, str) or not re.fullmatch(r"(?:[A-Za-z0-9._~/:@!$&'()*+,;=-]|%[0-9A-F]{2})+", value):
        return False
    return urllib.parse.urlsplit(value).scheme in ("", "file")


# By object (section of the standard): its properties; * is required, [] a list.
OBJECTS = {
    "log": {"$schema": TEXT, "version*": one_of("2.1.0"), "runs*": ["run"]},                       # 3.13
    "run": {"tool*": "tool", "columnKind": one_of("utf16CodeUnits", "unicodeCodePoints"),          # 3.14
            "results": ["result"]},
    "tool": {"driver*": "component"},                                                              # 3.18
    "component": {"name*": TEXT, "version": TEXT, "rules": ["rule"]},                              # 3.19
    "rule": {"id*": TEXT, "name": TEXT, "shortDescription": "message string"},                     # 3.49
    "message string": {"text*": TEXT},                                                             # 3.12
    "result": {"ruleId": matches(r"N\d+"), "ruleIndex": COUNT,                                     # 3.27
               "level": one_of("none", "note", "warning", "error"),
               "message*": "message string", "locations": ["location"]},
    "location": {"physicalLocation": "physical location"},                                         # 3.28
    "physical location": {"artifactLocation": "artifact location", "region": "region"},            # 3.29
    "artifact location": {"uri": is_reference},                                                    # 3.4
    "region": {"startLine": COUNT, "startColumn": COUNT, "endColumn": COUNT},                      # 3.30
}


def faults_of(value, kind, path):
    if isinstance(kind, list):
        if not isinstance(value, list):
            yield f"{path} is no list"
            return
        for i, item in enumerate(value):
            yield from faults_of(item, kind[0], f"{path}[{i}]")
    elif kind == TEXT:
        if not isinstance(value, str) or value == "":
            yield f"{path} is no text: {value!r}"
    elif kind == COUNT:
        if type(value) is not int or value < 0:
            yield f"{path} is no number: {value!r}"
    elif callable(kind):
        if not kind(value):
            yield f"{path} cannot be {value!r}"
    else:
        yield from faults_of_object(value, OBJECTS[kind], path)


def faults_of_object(value, properties, path):
    if not isinstance(value, dict):
        yield f"{path} is no object"
        return
    known = {name.rstrip("*"): kind for name, kind in properties.items()}
    for name in value:
        if name in known:
            yield from faults_of(value[name], known[name], f"{path}.{name}")
        else:
            yield f"{path}.{name} is not known here"
    for name in properties:
        if name.endswith("*") and name[:-1] not in value:
            yield f"{path} has no {name[:-1]}"


def faults(log):
    """All that is wrong with `log`, a text for each."""
    found = list(faults_of(log, "log", "log"))
    if found:
        return found
    for run in log["runs"]:
        rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        if len(set(rules)) != len(rules):  # 3.19.23: ids are not shared
            found.append("a rule is there twice")
        for result in run["results"]:
            index = result["ruleIndex"]
            if index >= len(rules) or rules[index] != result["ruleId"]:  # 3.27.6
                found.append(f"{result['ruleId']} is not rule {index}")
            for location in result["locations"]:  # 3.30: from 1; not empty
                region = location["physicalLocation"]["region"]
                if not 1 <= region["startColumn"] < region["endColumn"] or region["startLine"] < 1:
                    found.append(f"{result['ruleId']} is at {region}")
    return found
