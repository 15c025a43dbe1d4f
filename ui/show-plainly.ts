/**
 * Whatever text reaches the screen, wherever a page takes it from, is safe to look at: characters that hide or reorder what
 * is around them are written out. Where a name is known to be one, `FileName` does the same and marks them; this is for
 * all the other places, so that none can be forgotten. What people type into fields stays as they typed it.
 */
import { options, type VNode } from "preact";
import { visibleLines } from "./plain-text.ts";

const READ_ATTRIBUTES = ["title", "aria-label", "alt", "placeholder", "data-title"] as const;

/** Once, before anything is rendered. */
export function showTextPlainly(): void {
  const before = options.vnode;
  options.vnode = (vnode) => {
    if (vnode.type === null) writeOutText(vnode);
    else if (typeof vnode.type === "string") writeOutAttributes(vnode.props);
    before?.(vnode);
  };
}

/** A text is a node whose `props` are the text, which the library's types do not say. */
function writeOutText(vnode: VNode): void {
  const text = vnode as unknown as { props: unknown };
  if (typeof text.props === "string") text.props = visibleLines(text.props);
}

function writeOutAttributes(props: object): void {
  const attributes = props as Record<string, unknown>;
  for (const name of READ_ATTRIBUTES) {
    const value = attributes[name];
    if (typeof value === "string") attributes[name] = visibleLines(value);
  }
}
