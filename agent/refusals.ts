/**
 * What the agent refuses whatever the control plane says: its own state, the system's pseudo folders, device names, where
 * the system keeps passwords, and a destination that is not the job's container at a known blob service over https.
 */
import type { Grant } from "../schema/connector.ts";
import type { JobDestination } from "../schema/job.ts";
import { isLoopback } from "./config.ts";
import { type Disk, DiskError } from "./platform.ts";

const BLOB_SUFFIXES = [
  ".blob.core.windows.net",
  ".blob.core.usgovcloudapi.net",
  ".blob.core.chinacloudapi.cn",
];
const SYSTEM_FOLDERS = ["/proc", "/sys", "/dev"];
/** Where systems keep what proves who somebody is. On Windows on any drive, and by the shares that only admins have. */
const POSIX_SECRETS = [
  "/etc/shadow",
  "/etc/shadow-",
  "/etc/gshadow",
  "/etc/gshadow-",
  "/etc/master.passwd",
  "/private/etc/master.passwd",
  "/var/db/dslocal/nodes/Default/users",
  "/private/var/db/dslocal/nodes/Default/users",
];
/** Folders that hold some, with the separator at the end. */
const SECRET_FOLDERS = new Set(POSIX_SECRETS.map((path) => path.slice(0, path.lastIndexOf("/") + 1)));
const WINDOWS_SECRETS =
  /^(?:[a-z]:\\windows|\\\\[^\\]+\\(?:[a-z]\$\\windows|admin\$))\\(?:system32\\config|ntds)(?:\\|$)/i;
const DEVICE_NAME = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?$/i;

export type SourceVerdict =
  | { readonly kind: "refused"; readonly message: string }
  /** `hidden`: folders below the source, by their real paths, that are none of its business ({@link hideFolders}). */
  | { readonly kind: "allowed"; readonly hidden: readonly string[] };

/** Judges a source folder by where it really is, links resolved. */
export function judgeSource(path: string, disk: Disk, ownFolder: string): SourceVerdict {
  const { separator } = disk;
  const spelling = separator === "/" ? posixRefusal(path) : windowsRefusal(path);
  if (spelling !== null) return { kind: "refused", message: spelling };
  const plain = normalize(path, separator);
  const real = realOr(plain, disk);
  const own = realOr(normalize(ownFolder, separator), disk);
  if (isSecret(plain, separator) || isSecret(real, separator))
    return { kind: "refused", message: `Cannot use the source "${path}": the system keeps passwords there` };
  const forbidden = separator === "/" ? [...SYSTEM_FOLDERS, own] : [own];
  for (const folder of forbidden) {
    // Both, because a source that is not there yet has no real path.
    if (below(folder, real, separator) === null && below(folder, plain, separator) === null) continue;
    const what = folder === own ? "the agent's own state folder" : `the system folder ${folder}`;
    return { kind: "refused", message: `Cannot use the source "${path}": it is in ${what}` };
  }
  return { kind: "allowed", hidden: forbidden.filter((folder) => below(real, folder, separator) !== null) };
}

/**
 * The disk without some folders, and without a look into what keeps passwords, which is listed as denied. For a source that
 * is listed by its real path, with no link followed below.
 */
export function hideFolders(disk: Disk, hidden: readonly string[]): Disk {
  const { separator } = disk;
  const isHidden = (path: string) => hidden.some((folder) => below(folder, path, separator) === "");
  const refuse = (path: string) => {
    if (isSecret(path, separator))
      throw new DiskError("denied", "the system keeps passwords there, and the agent reads none");
  };
  return {
    ...disk,
    readFolder: (path) => {
      refuse(path);
      const items = disk.readFolder(path);
      return hidden.length === 0 ? items : items.filter(({ name }) => !isHidden(join(path, name, separator)));
    },
    stat: (path) => {
      refuse(path);
      return disk.stat(path);
    },
    // The thread beside knows nothing of this, so it does not look where a file is to be refused.
    lookAhead: (folder, names) => (SECRET_FOLDERS.has(folder) ? null : disk.lookAhead(folder, names)),
  };
}

function isSecret(path: string, separator: "/" | "\\"): boolean {
  if (separator === "/") return POSIX_SECRETS.some((secret) => below(secret, path, separator) !== null);
  return WINDOWS_SECRETS.test(path);
}

/** The reason why nothing is sent to where this grant points, or null. `apiUrl` is the control plane's address. */
export function destinationRefusal(grant: Grant, destination: JobDestination, apiUrl: string): string | null {
  const url = new URL(grant.containerUrl);
  const segments = url.pathname.split("/").filter((segment) => segment !== "");
  // An emulator has the account in the path: http://127.0.0.1:10000/<account>/<container>.
  const isPathStyle = segments.length === 2;
  const account = isPathStyle ? segments[0] : url.hostname.split(".")[0];
  const container = isPathStyle ? segments[1] : segments[0];
  if (
    segments.length > 2 ||
    container !== destination.container ||
    grant.container !== destination.container
  ) {
    return "The grant is for another container than the job's";
  }
  if (account !== destination.account) return "The grant is for another storage account than the job's";
  // Development: who runs the control plane on this machine may have the storage wherever it is.
  if (isLoopback(new URL(apiUrl).hostname)) return null;
  if (url.protocol !== "https:" || url.port !== "")
    return "The storage account must be reached by https on port 443";
  if (isPathStyle || !BLOB_SUFFIXES.some((suffix) => url.hostname === `${account}${suffix}`)) {
    return `"${url.hostname}" is not a known blob storage host`;
  }
  return null;
}

function posixRefusal(path: string): string | null {
  const refused = (reason: string) => `Cannot use the source "${path}": ${reason}`;
  if (path.includes("\0")) return refused("no path has such a character");
  if (path.startsWith("/")) return null;
  if (/^([A-Za-z]:|\\)/.test(path)) return refused("it is a Windows path, and this machine has none");
  return refused("give the whole path, from /");
}

function windowsRefusal(path: string): string | null {
  const bent = path.replaceAll("/", "\\");
  const refused = (reason: string) => `Cannot use the source "${path}": ${reason}`;
  // eslint-disable-next-line no-control-regex -- that is what is looked for
  if (/[\u0000-\u001f]/.test(path)) return refused("no path has such a character");
  if (/^\\(\\[?.]|\?\?)(\\|$)/.test(bent)) return refused("device paths are not sources");
  if (!/^[A-Za-z]:\\/.test(bent) && !/^\\\\[^\\]+\\[^\\]+/.test(bent)) {
    return refused("give a drive and a folder, or a network share");
  }
  const segments = bent.replace(/^[A-Za-z]:/, "").split("\\");
  // "report.txt:hidden" is a second stream of the same file.
  if (segments.some((segment) => segment.includes(":"))) return refused("it names an alternate data stream");
  if (segments.some((segment) => DEVICE_NAME.test(segment.trimEnd()))) return refused("it names a device");
  return null;
}

/** Without `.`, `..`, doubled separators and one at the end. */
function normalize(path: string, separator: "/" | "\\"): string {
  const even = separator === "\\" ? path.replaceAll("/", "\\") : path;
  const root = separator === "/" ? "/" : (/^([A-Za-z]:\\|\\\\[^\\]+\\[^\\]+)/.exec(even)?.[0] ?? "");
  const kept: string[] = [];
  for (const written of even.slice(root.length).split(separator)) {
    if (written === "..") kept.pop();
    // Windows takes no notice of dots and spaces at the end of a name.
    const segment = separator === "\\" ? written.replace(/[. ]+$/, "") : written;
    if (segment !== "" && segment !== "." && segment !== "..") kept.push(segment);
  }
  return join(root, kept.join(separator), separator);
}

function realOr(path: string, disk: Disk): string {
  try {
    return disk.realPath(path);
  } catch {
    // Not there, or not to be seen: the listing will say so, with the right code.
    return path;
  }
}

/** What leads from `folder` to `path`: "" when they are one, null when it is not below. */
function below(folder: string, path: string, separator: "/" | "\\"): string | null {
  // Windows does not tell case apart. On macOS the real path comes in the spelling of the disk.
  const same = (text: string) => (separator === "\\" ? text.toLowerCase() : text);
  if (same(folder) === same(path)) return "";
  const stem = folder.endsWith(separator) ? folder : folder + separator;
  return same(path).startsWith(same(stem)) ? path.slice(stem.length) : null;
}

function join(folder: string, rest: string, separator: "/" | "\\"): string {
  if (rest === "") return folder;
  return folder.endsWith(separator) ? folder + rest : folder + separator + rest;
}
