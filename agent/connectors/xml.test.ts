import assert from "node:assert/strict";
import { encodeXml, parseXml, XmlError } from "./xml.ts";

Deno.test("[X1] text, entities, attributes, empty elements and CDATA are read", () => {
  const root = parseXml(
    `\ufeff<?xml version="1.0"?><!-- a > b --><A x="1 &gt; 0" y='"'><B>a &amp; b &#233;&#x1F600;</B><C/><D><![CDATA[<raw>&amp;]]></D></A>`,
  );
  assert.equal(root.name, "A");
  assert.deepEqual(
    [...root.attributes],
    [
      ["x", "1 > 0"],
      ["y", '"'],
    ],
  );
  assert.equal(root.textOf("B"), "a & b é😀");
  assert.equal(root.textOf("C"), "");
  assert.equal(root.textOf("D"), "<raw>&amp;");
  assert.equal(root.textOf("missing"), "");
});

Deno.test("[X1] what is cut off, crossed, unknown or too deep is refused", () => {
  const whole = "<A><B>text &lt;</B><C k='v'/></A>";
  parseXml(whole);
  for (let length = 0; length < whole.length; length++)
    assert.throws(() => parseXml(whole.slice(0, length)), XmlError, whole.slice(0, length));
  for (const bad of [
    "<A></B>",
    "<A>&nbsp;</A>",
    "<!DOCTYPE a><A/>",
    "<A/><B/>",
    "</A>",
    "text",
    "< A/>",
    "<a>".repeat(40) + "</a>".repeat(40),
  ]) {
    assert.throws(() => parseXml(bad), XmlError, bad);
  }
});

Deno.test("[X1] what is written is read back", () => {
  const text = `a & b < c > "d" 'e' é 😀`;
  assert.equal(parseXml(`<A>${encodeXml(text)}</A>`).text, text);
});
