/**
 * Finds what people would read in the dashboard's code outside `ui/texts/`, where all of it belongs: text between tags,
 * attributes and properties that are shown, and strings that read like words. It errs on the side of finding; what is no
 * text for people although it reads like one stands in {@link NO_TEXTS}.
 */
import { parseSync } from "vite";
import type { SourceFile } from "./tidy.ts";

export interface LooseText {
  readonly path: string;
  readonly text: string;
}

/** Names of attributes and properties whose value is shown or read aloud. */
const SHOWN =
  /^(title|label|hint|text|lead|submitText|placeholder|aria-label|alt|summary|empty|what|confirmText|cancelText|note|action|heading|message|question)$/;
/** Names of those whose value never is, whatever it looks like. */
const NEVER_SHOWN =
  /^(class|id|key|href|type|name|role|kind|state|status|tone|icon|testId|data-testid|for|rel|target|method|variant|page|code|event|src|d|viewBox|fill|stroke|path|slot|field|sort|topic)$/;

const NO_TEXTS: readonly string[] = [
  // Names that others read: of errors, headers, keys, selectors, media queries.
  "ApiError",
  "Idempotency-Key",
  "Control+K",
  "ArrowDown",
  "ArrowUp",
  "Enter",
  "main h1",
  "input, textarea, select",
  "12px …",
  "(prefers-color-scheme: dark)",
  "part of a page",
  // Azure's names of its tiers, as they are sent.
  "Hot",
  "Cool",
  "Cold",
  "Archive",
  // Commands, and examples of what is typed.
  "npm run audit:verify -- audit.jsonl --head &lt;fingerprint&gt;",
  "gunzip -c manifest-*.jsonl.gz | shasum -a 256",
  "shasum -a 256 FILE",
  "Get-FileHash",
  "… start",
  "~$*\nThumbs.db\n*.tmp",
  "*.pdf\nProjects/2024/**",
  "D:\\Shares\\Files",
  "/srv/files",
  "https://hooks.example.com/migrate",
  "https://account.blob.core.windows.net/container?sv=…&sig=…",
  "acme-files",
  "acme-corp/files",
];

type Node = { readonly type: string } & Readonly<Record<string, unknown>>;

/** In the order in which they stand. Throws when the file cannot be parsed. */
export function findLooseTexts({ path, text: source }: SourceFile): readonly LooseText[] {
  const parsed = parseSync(path, source, { lang: path.endsWith("x") ? "tsx" : "ts", sourceType: "module" });
  if (parsed.errors.length > 0) throw new Error(`Cannot parse ${path}: ${parsed.errors[0]?.message}`);
  const found: LooseText[] = [];
  look(parsed.program, null, (text) => {
    if (!NO_TEXTS.includes(text)) found.push({ path, text });
  });
  return found;
}

/** `name`: of the attribute or property whose value this is. */
function look(value: unknown, name: string | null, find: (text: string) => void): void {
  if (Array.isArray(value)) return value.forEach((each) => look(each, name, find));
  if (!isNode(value)) return;
  switch (value.type) {
    case "ImportDeclaration":
    case "ImportExpression":
    case "TaggedTemplateExpression":
      return;
    case "JSXText":
      return isWords(String(value["value"]).trim()) ? find(String(value["value"]).trim()) : undefined;
    case "JSXAttribute":
      return look(value["value"], nameOf(value["name"]), find);
    case "Property":
    case "PropertyDefinition":
      if (value["computed"] === true) look(value["key"], null, find);
      return look(value["value"], nameOf(value["key"]), find);
    case "BinaryExpression":
      // What is compared with is a code, not a text.
      if (/^[=!]==?$/.test(String(value["operator"]))) return;
      break;
    case "Literal":
      if (typeof value["value"] === "string" && isText(value["value"], name)) find(value["value"]);
      return;
    case "TemplateLiteral": {
      look(value["expressions"], name, find);
      const parts = (value["quasis"] as readonly { readonly value: { readonly cooked: string } }[]).map(
        (quasi) => quasi.value.cooked,
      );
      if (isTemplateOfText(parts, name)) find(parts.join("…"));
      return;
    }
    default:
      if (/^TS(?!As|NonNull|Satisfies)/.test(value.type)) return;
  }
  for (const [key, child] of Object.entries(value)) {
    if (key === "type") continue;
    // A condition chooses between texts and is none; what it chooses goes where the whole would go.
    look(child, key === "test" ? null : PASSES_ON.includes(value.type) ? name : null, find);
  }
}

const PASSES_ON = [
  "ConditionalExpression",
  "LogicalExpression",
  "JSXExpressionContainer",
  "ArrowFunctionExpression",
  "ArrayExpression",
];

function isText(text: string, name: string | null): boolean {
  if (!isWords(text)) return false;
  if (name !== null && NEVER_SHOWN.test(name)) return false;
  if (name !== null && SHOWN.test(name)) return true;
  return /[A-Za-z,.:;] [A-Za-z]/.test(text) || /^[A-Z][a-z]/.test(text);
}

function isTemplateOfText(parts: readonly string[], name: string | null): boolean {
  if (name !== null && NEVER_SHOWN.test(name)) return false;
  if (parts.some((part) => /^\/|\/api|[?&=]|--|\.csv|\.json|^#|^https?:|^chmod|^sudo|\.exe|\.ps1/.test(part)))
    return false;
  return parts.some((part) => /[A-Za-z]{2,} |^ ?[a-z]{3,}$| [a-z]{2,}|[a-z]: $/.test(part));
}

function isWords(text: string): boolean {
  return /[A-Za-z]{2}/.test(text);
}

function nameOf(node: unknown): string | null {
  if (!isNode(node)) return null;
  const name = node["name"] ?? node["value"];
  return typeof name === "string" ? name : null;
}

function isNode(value: unknown): value is Node {
  return typeof value === "object" && value !== null && "type" in value;
}
