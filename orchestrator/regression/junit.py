"""JUnit's XML: a test case for each variant, which fails where a metric got worse."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from orchestrator.compare import sentence
from orchestrator.regression.against import Against

__all__ = ["junit_xml"]


def junit_xml(compared: Sequence[Against], failed: Sequence[tuple[str, str]] = ()) -> str:
    """The whole document.

    Args:
        compared: what could be.
        failed: runs that did not end well: name and reason; they are errors.
    """
    root = ElementTree.Element("testsuites")
    for experiment in dict.fromkeys(one.experiment for one in compared):
        mine = [one for one in compared if one.experiment == experiment]
        suite = ElementTree.SubElement(root, "testsuite", name=experiment)
        for one in mine:
            case = ElementTree.SubElement(suite, "testcase", classname=experiment, name=one.variant)
            said = [sentence(each, one.comparison.criteria) for each in one.comparison.results]
            if one.worse:
                failure = ElementTree.SubElement(
                    case, "failure", message=f"worse: {', '.join(one.worse)}"
                )
                failure.text = "\n".join(said)
            else:
                ElementTree.SubElement(case, "system-out").text = "\n".join(said)
        suite.set("tests", str(len(mine)))
        suite.set("failures", str(sum(bool(one.worse) for one in mine)))
    if failed:
        suite = ElementTree.SubElement(root, "testsuite", name="runs")
        suite.set("tests", str(len(failed)))
        suite.set("errors", str(len(failed)))
        for name, reason in failed:
            case = ElementTree.SubElement(suite, "testcase", classname="runs", name=name)
            ElementTree.SubElement(case, "error", message=reason.splitlines()[0]).text = reason
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"
