/** The API's description as a page for people, made of the document. No script; one style sheet, allowed by a nonce. */
import { html, raw } from "hono/html";
import type { JsonSchema, OpenApiDocument, Operation, Parameter } from "./document.ts";

const STYLE = `
:root { color-scheme: dark light; --back: #09090b; --card: #111113; --line: #27272a; --text: #e8eaec; --muted: #9b9b9b; --accent: #22a6c3; }
@media (prefers-color-scheme: light) { :root { --back: #f6f7f8; --card: #fff; --line: #dfe2e5; --text: #14171a; --muted: #5c6670; --accent: #0e7490; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 900px; padding: 24px; background: var(--back); color: var(--text); font: 16px/1.5 Inter, system-ui, sans-serif; }
h1 { font-size: 24px; } h2 { margin: 32px 0 8px; font-size: 18px; } p { margin: 4px 0; } a { color: var(--accent); }
details { background: var(--card); border: 1px solid var(--line); border-radius: 10px; margin: 8px 0; padding: 10px 14px; }
summary { cursor: pointer; overflow-wrap: anywhere; } summary b { color: var(--accent); } .muted { color: var(--muted); }
table { border-collapse: collapse; width: 100%; margin: 8px 0; font-size: 14px; } td, th { text-align: left; padding: 4px 8px 4px 0; vertical-align: top;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; } code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: 10px; border: 1px solid var(--line); border-radius: 8px; max-height: 360px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }`;

type Content = ReturnType<typeof html>;

/** Values put into `html` are escaped. */
export function docsPage(document: OpenApiDocument, nonce: string): Content {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      route: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  );
  const tags = [...new Set(operations.map(({ operation }) => operation.tags[0] ?? ""))];
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>API · The One Migrate</title>
        <style nonce="${nonce}">
          ${raw(STYLE)}
        </style>
      </head>
      <body>
        <h1>${document.info.title}: API ${document.info.version}</h1>
        <p>${document.info.description}</p>
        <p>
          An admin makes a key in the dashboard, under Settings. Send it as
          <code>Authorization: Bearer mig_api1_…</code>. For programs:
          <a href="/api/openapi.json">openapi.json</a>.
        </p>
        ${tags.map(
          (tag) =>
            html`<h2>${tag}</h2>
              ${operations
                .filter(({ operation }) => operation.tags[0] === tag)
                .map(({ route, operation }) => operationOf(route, operation))}`,
        )}
      </body>
    </html>`;
}

function operationOf(route: string, operation: Operation): Content {
  const { requestBody } = operation;
  return html`<details>
    <summary><b>${route}</b> <span class="muted">${operation.summary}</span></summary>
    <p>${operation.description}</p>
    ${operation.parameters.length === 0 ? "" : parametersOf(operation.parameters)}
    ${requestBody === undefined ? "" : schemaOf("Body", Object.values(requestBody.content)[0]?.schema)}
    ${Object.entries(operation.responses)
      .filter(([status]) => status.startsWith("2"))
      .map(([status, { content }]) =>
        schemaOf(`Answer ${status}`, Object.values(content ?? {})[0]?.schema ?? { description: "nothing" }),
      )}
    <table>
      <tr>
        <th>Refusal</th>
        <th>Code</th>
      </tr>
      ${Object.entries(operation.responses)
        .filter(([status]) => !status.startsWith("2"))
        .map(
          ([status, { description }]) =>
            html`<tr>
              <td>${status}</td>
              <td>${description}</td>
            </tr>`,
        )}
    </table>
  </details>`;
}

function parametersOf(parameters: readonly Parameter[]): Content {
  return html`<table>
    <tr>
      <th>Parameter</th>
      <th>In</th>
      <th>Shape</th>
    </tr>
    ${parameters.map(
      (parameter) =>
        html`<tr>
          <td>${parameter.name}${parameter.required ? "" : " (optional)"}</td>
          <td>${parameter.in}</td>
          <td><code>${JSON.stringify(parameter.schema)}</code></td>
        </tr>`,
    )}
  </table>`;
}

function schemaOf(title: string, schema: JsonSchema | undefined): Content {
  return html`<p class="muted">${title}</p>
    <pre tabindex="0">${JSON.stringify(schema ?? {}, null, 2)}</pre>`;
}
