/**
 * As much XML as a storage service answers with: elements, attributes, text, entities, CDATA. No document types, so none
 * of their tricks. Throws {@link XmlError} for what is not well-formed, such as an answer that was cut off.
 */
export class XmlError extends Error {
  override readonly name = "XmlError";
}

export class XmlElement {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: XmlElement[] = [];
  text = "";

  constructor(name: string, attributes: ReadonlyMap<string, string>) {
    this.name = name;
    this.attributes = attributes;
  }

  child(name: string): XmlElement | null {
    return this.children.find((child) => child.name === name) ?? null;
  }
  /** The text of a child; empty if there is none. */
  textOf(name: string): string {
    return this.child(name)?.text ?? "";
  }
}

const DEPTH_MAX = 32;
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
]);

export function parseXml(xml: string): XmlElement {
  const document = new XmlElement("", new Map());
  const open = [document];
  for (let at = 0; at < xml.length;) {
    const parent = open.at(-1) as XmlElement;
    const tag = xml.indexOf("<", at);
    const text = xml.slice(at, tag === -1 ? xml.length : tag);
    if (open.length > 1) parent.text += decodeEntities(text);
    else if (text.replace("\ufeff", "").trim() !== "")
      throw new XmlError("Cannot read XML: there is text outside of it");
    if (tag === -1) break;
    if (xml.startsWith("<!--", tag)) at = behind(xml, "-->", tag);
    else if (xml.startsWith("<![CDATA[", tag)) {
      at = behind(xml, "]]>", tag);
      parent.text += xml.slice(tag + 9, at - 3);
    } else if (xml.startsWith("<?", tag)) at = behind(xml, "?>", tag);
    else if (xml.startsWith("<!", tag)) throw new XmlError("Cannot read XML: it has a document type");
    else {
      at = behindTag(xml, tag);
      readTag(xml.slice(tag + 1, at - 1), open);
    }
  }
  const root = document.children[0];
  if (root === undefined || document.children.length > 1 || open.length > 1)
    throw new XmlError("Cannot read XML: it is not whole");
  return root;
}

function readTag(tag: string, open: XmlElement[]): void {
  if (tag.startsWith("/")) {
    if (open.length === 1 || open.pop()?.name !== tag.slice(1).trim())
      throw new XmlError("Cannot read XML: a closing tag is wrong");
    return;
  }
  const isEmpty = tag.endsWith("/");
  const inside = isEmpty ? tag.slice(0, -1) : tag;
  const name = /^[^\s/>"'=]+/.exec(inside)?.[0];
  if (name === undefined) throw new XmlError("Cannot read XML: a tag has no name");
  const element = new XmlElement(
    name,
    inside.length === name.length ? NO_ATTRIBUTES : readAttributes(inside.slice(name.length)),
  );
  open.at(-1)?.children.push(element);
  if (isEmpty) return;
  open.push(element);
  if (open.length > DEPTH_MAX) throw new XmlError("Cannot read XML: it is too deep");
}

const NO_ATTRIBUTES: ReadonlyMap<string, string> = new Map();

function readAttributes(text: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  for (const [, name, double, single] of text.matchAll(/([^\s=]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g)) {
    attributes.set(name as string, decodeEntities(double ?? single ?? ""));
  }
  return attributes;
}

/** A ">" inside an attribute's quotes does not end the tag. */
function behindTag(xml: string, from: number): number {
  let quote = "";
  for (let at = from; at < xml.length; at++) {
    const character = xml[at] as string;
    if (quote !== "") quote = character === quote ? "" : quote;
    else if (character === '"' || character === "'") quote = character;
    else if (character === ">") return at + 1;
  }
  throw new XmlError("Cannot read XML: it is cut off");
}

function behind(xml: string, end: string, from: number): number {
  const at = xml.indexOf(end, from);
  if (at === -1) throw new XmlError("Cannot read XML: it is cut off");
  return at + end.length;
}

/** Text as it stands between tags. */
export function decodeEntities(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&([^;]{0,32});?/g, (whole, name: string) => {
    const decoded = ENTITIES.get(name) ?? decodeNumber(name);
    if (decoded === null || !whole.endsWith(";"))
      throw new XmlError("Cannot read XML: it has an unknown entity");
    return decoded;
  });
}

function decodeNumber(name: string): string | null {
  const [, hex, decimal] = /^#(?:x([0-9a-fA-F]+)|([0-9]+))$/.exec(name) ?? [];
  const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
  return Number.isInteger(code) && code <= 0x10ffff ? String.fromCodePoint(code) : null;
}

export function encodeXml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
