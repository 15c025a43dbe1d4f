/** Paths that a source must never be, in hundreds of spellings. */
import assert from "node:assert/strict";
import { diskWith } from "./link-disk.ts";
import { type Disk, DiskError } from "./platform.ts";
import { hideFolders, judgeSource } from "./refusals.ts";

const POSIX_OWN = "/var/lib/migrate-agent";
const WINDOWS_OWN = "C:\\ProgramData\\migrate-agent";

const POSIX_PLACES = [
  "/proc",
  "/proc/self",
  "/proc/1/root",
  "/sys",
  "/sys/kernel/debug",
  "/dev",
  "/dev/shm",
  POSIX_OWN,
  `${POSIX_OWN}/jobs`,
  "/etc/shadow",
  "/etc/shadow-",
  "/etc/gshadow",
  "/etc/master.passwd",
  "/private/var/db/dslocal/nodes/Default/users",
];

/** Other ways to write an absolute path. */
function posixSpellings(path: string): readonly string[] {
  const parent = path.slice(0, path.lastIndexOf("/"));
  const name = path.slice(path.lastIndexOf("/") + 1);
  return [
    path,
    `${path}/`,
    `${path}//`,
    `${path}/.`,
    `${path}/./`,
    `${path}/x/..`,
    `/${path}`,
    `//${path}`,
    `/.${path}`,
    `/srv/..${path}`,
    `/../..${path}`,
    `/srv/./../${path}`,
    `${parent}/./${name}`,
    `${parent}//${name}`,
    `${parent}/x/../${name}`,
  ];
}

const WINDOWS_PLACES = [
  WINDOWS_OWN,
  `${WINDOWS_OWN}\\jobs`,
  "C:\\Windows\\System32\\config",
  "C:\\Windows\\System32\\config\\RegBack",
  "D:\\Windows\\NTDS",
  "\\\\dc01\\C$\\Windows\\NTDS",
  "\\\\dc01\\ADMIN$\\System32\\config",
  "C:\\Shares\\NUL",
  "C:\\Shares\\con.txt",
  "C:\\COM1",
  "C:\\Shares\\LPT¹\\x",
  "C:\\Shares\\CONIN$",
  "C:\\Shares\\plan.txt:hidden",
  "C:\\Shares:$DATA",
];

function windowsSpellings(path: string): readonly string[] {
  const rest = path.replace(/^[A-Za-z]:/, "");
  return [
    path,
    `${path}\\`,
    `${path}\\.`,
    path.toLowerCase(),
    path.toUpperCase(),
    path.replaceAll("\\", "/"),
    `${path}. .`,
    path.replace(/\\([^\\]*)$/, "\\.\\$1"),
    path.replace(/\\([^\\]*)$/, "\\\\$1"),
    path.replace(/\\([^\\]*)$/, "\\x\\..\\$1"),
    `\\\\?\\${path}`,
    `\\\\.\\${path}`,
    `//?/${path.replaceAll("\\", "/")}`,
    `\\??\\${path}`,
    `\\\\?\\UNC\\localhost\\c$${rest}`,
  ];
}

const NO_PATHS_POSIX = [
  "",
  ".",
  "..",
  "srv",
  "./srv",
  "../etc",
  "~",
  "~/x",
  "C:\\x",
  "\\\\a\\b",
  "file:///srv",
  "/srv\0/x",
  "\0",
];
const NO_PATHS_WINDOWS = [
  "",
  ".",
  "..",
  "x",
  "..\\x",
  "C:",
  "C:x",
  "C:..\\x",
  "\\x",
  "/x",
  "\\\\",
  "\\\\server",
  "\\\\server\\",
  "\\\\.\\PhysicalDrive0",
  "\\\\.\\pipe\\x",
  "\\\\?\\Volume{b75e2c83}\\",
  "\\\\?\\GLOBALROOT\\Device\\HarddiskVolumeShadowCopy1\\Windows",
  "file:///C:/x",
  "http://x/y",
  "C:\\a\0b",
  "C:\\a\nb",
];

const POSIX = [...new Set([...POSIX_PLACES.flatMap(posixSpellings), ...NO_PATHS_POSIX])];
const WINDOWS = [...new Set([...WINDOWS_PLACES.flatMap(windowsSpellings), ...NO_PATHS_WINDOWS])];

Deno.test("[A64] more than 400 hostile paths are refused, each with a reason", () => {
  assert.ok(POSIX.length + WINDOWS.length >= 400, `${POSIX.length} + ${WINDOWS.length}`);
  const judged = [
    ...POSIX.map((path) => ({ path, verdict: judgeSource(path, diskWith("/"), POSIX_OWN) })),
    ...WINDOWS.map((path) => ({ path, verdict: judgeSource(path, diskWith("\\"), WINDOWS_OWN) })),
  ];
  const allowed = judged.filter(({ verdict }) => verdict.kind === "allowed").map(({ path }) => path);
  assert.deepEqual(allowed, []);
  for (const { verdict } of judged) {
    if (verdict.kind === "refused") assert.match(verdict.message, /^Cannot use the source ".*": .{10,}$/s);
  }
});

Deno.test("[A64] a link that leads to a hostile place is refused like the place", () => {
  for (const place of POSIX_PLACES)
    assert.equal(
      judgeSource("/srv/link", diskWith("/", { "/srv/link": place }), POSIX_OWN).kind,
      "refused",
      place,
    );
  for (const place of WINDOWS_PLACES.slice(0, 7))
    assert.equal(
      judgeSource("D:\\link", diskWith("\\", { "D:\\link": place }), WINDOWS_OWN).kind,
      "refused",
      place,
    );
});

Deno.test("[A64] what only looks like a hostile path is allowed", () => {
  for (const path of [
    "/",
    "/etc",
    "/etc/shadow.d",
    "/srv/etc/shadow",
    "/home/dev",
    "/srv/con",
    "/srv/C:\\x",
    "/proceedings",
  ])
    assert.equal(judgeSource(path, diskWith("/"), POSIX_OWN).kind, "allowed", path);
  for (const path of [
    "C:\\",
    "C:\\Windows",
    "C:\\Windows\\System32",
    "C:\\Windows\\System32\\configuration",
    "\\\\nas\\NTDS\\files",
    "D:\\System32\\config",
    "D:\\console",
    "D:\\null",
    "D:\\com10",
    "D:\\ProgramData\\migrate-agent",
  ])
    assert.equal(judgeSource(path, diskWith("\\"), WINDOWS_OWN).kind, "allowed", path);
});

Deno.test("[A64] below a source that is allowed, what keeps passwords is neither looked at nor listed, and says so", () => {
  const seen: string[] = [];
  const real: Disk = {
    ...diskWith("/"),
    readFolder: (path) => {
      seen.push(path);
      return [{ name: "shadow", kind: "file" }];
    },
    stat: (path) => {
      seen.push(path);
      return { kind: "file" } as ReturnType<Disk["stat"]>;
    },
    lookAhead: (folder) => {
      seen.push(folder);
      return null;
    },
  };
  const guarded = hideFolders(real, []);
  const isDenied = (error: unknown) => error instanceof DiskError && error.code === "denied";
  assert.throws(() => guarded.stat("/etc/shadow"), isDenied);
  assert.throws(() => guarded.readFolder("/private/var/db/dslocal/nodes/Default/users"), isDenied);
  guarded.lookAhead("/etc/", ["shadow"]);
  assert.deepEqual(seen, []);
  guarded.stat("/etc/shadows");
  guarded.readFolder("/etc");
  guarded.lookAhead("/srv/", ["shadow"]);
  assert.deepEqual(seen, ["/etc/shadows", "/etc", "/srv/"]);
  const windows = hideFolders({ ...real, separator: "\\" }, []);
  assert.throws(() => windows.readFolder("C:\\WINDOWS\\system32\\CONFIG"), isDenied);
});
