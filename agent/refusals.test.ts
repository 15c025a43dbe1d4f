import assert from "node:assert/strict";
import type { Grant } from "../schema/connector.ts";
import type { JobDestination } from "../schema/job.ts";
import { diskWith } from "./link-disk.ts";
import { destinationRefusal, hideFolders, judgeSource } from "./refusals.ts";

const OWN = "/var/lib/migrate-agent";
const DESTINATION: JobDestination = {
  kind: "azure_blob",
  account: "acme",
  container: "plans",
  prefix: "",
  tier: "Hot",
};
const CLOUD = "https://api.theonemigrate.app";

function grantFor(containerUrl: string, container = "plans"): Grant {
  const expiresAt = "2026-11-22T10:00:00.000Z";
  return { kind: "azure_blob", containerUrl, container, sas: "sig=x", expiresAt, renewAt: expiresAt };
}

for (const path of [
  "/proc",
  "/proc/1/root/etc",
  "/sys/kernel",
  "/dev/",
  "//dev//shm",
  "/srv/../proc/self",
  "/./dev",
  OWN,
  `${OWN}/jobs`,
  `${OWN}/jobs/../manifests/`,
  "C:\\Shares",
  "\\\\server\\share",
]) {
  Deno.test(`[A21] on Linux the source ${path} is refused`, () => {
    assert.equal(judgeSource(path, diskWith("/"), OWN).kind, "refused");
  });
}

for (const path of [
  "\\\\?\\C:\\Shares",
  "\\\\.\\PhysicalDrive0",
  "//?/C:/Shares",
  "\\??\\C:\\Shares",
  "C:\\Shares\\NUL",
  "C:\\com1.txt\\x",
  "C:\\Shares\\file.txt:stream",
  "C:\\ProgramData\\migrate-agent",
  "c:/programdata/MIGRATE-AGENT/jobs",
  "/srv/files",
]) {
  Deno.test(`[A21] on Windows the source ${path} is refused`, () => {
    assert.equal(judgeSource(path, diskWith("\\"), "C:\\ProgramData\\migrate-agent").kind, "refused");
  });
}

Deno.test("[A21] a link into a refused folder is refused", () => {
  const disk = diskWith("/", { "/srv/link": "/proc/1", "/srv/own": OWN });
  assert.equal(judgeSource("/srv/link", disk, OWN).kind, "refused");
  assert.equal(judgeSource("/srv/own/", disk, OWN).kind, "refused");
});

Deno.test("[A21] the agent's own folder is refused by its real path too", () => {
  const disk = diskWith("/", { "/state": "/mnt/disk/state" });
  assert.equal(judgeSource("/mnt/disk/state/jobs", disk, "/state").kind, "refused");
});

for (const path of ["/srv/files", "/process", "/home/dev", `${OWN}-old`, "/srv/a:b", "/srv/nul"]) {
  Deno.test(`[A21] on Linux the source ${path} is allowed`, () => {
    assert.deepEqual(judgeSource(path, diskWith("/"), OWN), { kind: "allowed", hidden: [] });
  });
}

for (const path of ["C:\\Shares\\Files", "\\\\server\\share\\Files", "D:/Files/console"]) {
  Deno.test(`[A21] on Windows the source ${path} is allowed`, () => {
    assert.equal(judgeSource(path, diskWith("\\"), "C:\\ProgramData\\migrate-agent").kind, "allowed");
  });
}

Deno.test("[A21] a source above the agent's own folder is allowed without that folder", () => {
  assert.deepEqual(judgeSource("/var/", diskWith("/"), OWN), { kind: "allowed", hidden: [OWN] });
  const all = judgeSource("/", diskWith("/"), OWN);
  assert.deepEqual(all, { kind: "allowed", hidden: ["/proc", "/sys", "/dev", OWN] });
});

Deno.test("[A21] a hidden folder is not listed, one of the same name elsewhere is", () => {
  const names = ["lib", "migrate-agent"].map((name) => ({ name, kind: "folder" }) as const);
  const disk = hideFolders({ ...diskWith("/"), readFolder: () => names }, [OWN]);
  assert.deepEqual(
    disk.readFolder("/var/lib").map(({ name }) => name),
    ["lib"],
  );
  assert.deepEqual(
    disk.readFolder("/srv").map(({ name }) => name),
    ["lib", "migrate-agent"],
  );
});

for (const [why, grant] of [
  ["http", grantFor("http://acme.blob.core.windows.net/plans")],
  ["another port", grantFor("https://acme.blob.core.windows.net:8443/plans")],
  ["an unknown host", grantFor("https://acme.blob.core.windows.net.evil.example/plans")],
  ["another account", grantFor("https://other.blob.core.windows.net/plans")],
  ["another container", grantFor("https://acme.blob.core.windows.net/other")],
  ["a container that only the grant calls so", grantFor("https://acme.blob.core.windows.net/plans", "other")],
  ["a folder below", grantFor("https://acme.blob.core.windows.net/plans/x/y")],
  ["an emulator", grantFor("http://127.0.0.1:10000/acme/plans")],
] as const) {
  Deno.test(`[A22] a grant for ${why} is refused`, () => {
    assert.notEqual(destinationRefusal(grant, DESTINATION, CLOUD), null);
  });
}

Deno.test("[A22] a grant for the job's container in each cloud is accepted", () => {
  for (const suffix of ["windows.net", "usgovcloudapi.net", "chinacloudapi.cn"]) {
    const grant = grantFor(`https://acme.blob.core.${suffix}/plans`);
    assert.equal(destinationRefusal(grant, DESTINATION, CLOUD), null);
  }
});

Deno.test("[A22] with a control plane on this machine an emulator is accepted, another container still not", () => {
  const local = "http://127.0.0.1:8787";
  assert.equal(destinationRefusal(grantFor("http://127.0.0.1:10000/acme/plans"), DESTINATION, local), null);
  assert.notEqual(
    destinationRefusal(grantFor("http://127.0.0.1:10000/acme/other"), DESTINATION, local),
    null,
  );
  assert.notEqual(
    destinationRefusal(grantFor("http://127.0.0.1:10000/other/plans"), DESTINATION, local),
    null,
  );
});
