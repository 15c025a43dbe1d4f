import { h, options, type VNode } from "preact";
import { expect, test } from "vitest";
import { showTextPlainly } from "./show-plainly.ts";

test("[U82] texts and what is read out of an element are shown plainly; what is typed into a field is not touched", () => {
  showTextPlainly();
  const reordered = "invoice\u202Efdp.exe";
  const { props } = h("input", { title: reordered, "aria-label": reordered, value: reordered });
  expect(props).toEqual({
    title: "invoice\\u{202E}fdp.exe",
    "aria-label": "invoice\\u{202E}fdp.exe",
    value: reordered,
  });
  const text = { type: null, props: reordered };
  options.vnode?.(text as unknown as VNode);
  expect(text.props).toBe("invoice\\u{202E}fdp.exe");
});
