/**
 * Takes secrets out of texts that leave the control plane's memory: log lines and what the audit log keeps of what people
 * typed. The last net, not the first: nobody is meant to put a secret into such a text.
 */

const GONE = "[redacted]";

type Rule = readonly [what: RegExp, instead: string];

/** What is a secret by its form, wherever it stands. */
const FORMS: readonly Rule[] = [
  // The signature of a SAS; without it the rest is harmless and helps in reading a log.
  [/(\bsig(?:=|%3D|"\s*:\s*\\?"))[^&\s"'\\]+/gi, `$1${GONE}`],
  [/(\b(?:Bearer|Basic)\s+)[\w.~+/=-]{8,}/gi, `$1${GONE}`],
  // Connection strings of storage accounts and of databases.
  [/(\b(?:AccountKey|SharedAccessKey|SharedAccessSignature|Password|Pwd)\s*=\s*)[^;\s"'\\]+/gi, `$1${GONE}`],
  // Somebody's name and password before a host.
  [/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi, `$1${GONE}@`],
  // Tokens that are JWTs, whatever they are for.
  [/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, GONE],
  [/(\bmig_)[A-Za-z0-9_-]+/g, `$1${GONE}`],
  [/(\b__Host-mig_\w+=)[^;\s"']+/g, `$1${GONE}`],
  // The key of a storage account, or any other 64 bytes in base 64.
  [/(?<![\w+/])[A-Za-z0-9+/]{86}==/g, GONE],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, GONE],
];

const NAMES: readonly Rule[] = [
  // Values of fields, headers and query parameters that are secrets by their name.
  [
    /(["']?\b(?:client_secret|refresh_token|access_token|id_token|code_verifier|assertion|password|passwd|secret|api[_-]?key|connection[_-]?string|authorization|cookie|token|state|code)["']?\s*(?:=|:|%3D)\s*\\?["']?)(?!\s*(?:null|true|false)\b)[^\s"'\\&;,}]{6,}/gi,
    `$1${GONE}`,
  ],
];

export function redact(text: string): string {
  return [...FORMS, ...NAMES].reduce(apply, text);
}

/** For texts in which a name says nothing: the agent's log has states and codes that are none. */
export function redactForms(text: string): string {
  return FORMS.reduce(apply, text);
}

function apply(text: string, [what, instead]: Rule): string {
  return text.replace(what, instead);
}
