import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { agentPackage } from "./build-deb.ts";
import { debianPackage } from "./debian-package.ts";
import { ROOT } from "./environment.ts";

const folder = mkdtempSync(join(tmpdir(), "package-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const AGENT = new TextEncoder().encode("#!/bin/sh\necho the agent\n");
const AT = 1_795_000_000;
const SERVICE = join(ROOT, "packaging/linux/migrate-agent.service");
const has = (program: string) => spawnSync(program, ["--version"]).error === undefined;

test("[A110] the same executable makes the same package, and another executable another", () => {
  const made = (agent: Uint8Array) => debianPackage(agentPackage(agent, "amd64", AT));
  expect(Buffer.compare(made(AGENT), made(AGENT))).toBe(0);
  expect(Buffer.compare(made(AGENT), made(AGENT.slice(1)))).not.toBe(0);
});

test.skipIf(!has("dpkg-deb"))(
  "[A110] Debian's own tool reads the package, and finds each file with its mode (needs dpkg-deb)",
  () => {
    const file = join(folder, "agent.deb");
    writeFileSync(file, debianPackage(agentPackage(AGENT, "amd64", AT)));
    const field = (name: string) =>
      execFileSync("dpkg-deb", ["--field", file, name], { encoding: "utf8" }).trim();
    expect([field("Package"), field("Architecture"), field("Installed-Size")]).toEqual([
      "migrate-agent",
      "amd64",
      "2",
    ]);
    expect(execFileSync("dpkg-deb", ["--contents", file], { encoding: "utf8" })).toMatch(
      /-rwxr-xr-x root\/root +25 .* \.\/usr\/bin\/migrate-agent\n/,
    );
    const into = join(folder, "root");
    execFileSync("dpkg-deb", ["--raw-extract", file, into]);
    const program = join(into, "usr/bin/migrate-agent");
    expect(execFileSync(program, { encoding: "utf8" })).toBe("the agent\n");
    expect(statSync(program).mode & 0o777).toBe(0o755);
    const unit = join(into, "usr/lib/systemd/system/migrate-agent.service");
    expect(readFileSync(unit, "utf8")).toBe(readFileSync(SERVICE, "utf8"));
    for (const script of ["postinst", "prerm", "postrm"]) {
      expect(statSync(join(into, "DEBIAN", script)).mode & 0o777, script).toBe(0o755);
      execFileSync("/bin/sh", ["-n", join(into, "DEBIAN", script)]);
    }
  },
);

test("[A110] a path that the format cannot hold is refused", () => {
  const files = [{ path: "x".repeat(99), mode: 0o644, bytes: AGENT }];
  expect(() => debianPackage({ ...agentPackage(AGENT, "amd64", AT), files })).toThrow(
    /longer than 100 bytes/,
  );
});

test("[A111] a silent installation keeps code and address, and nothing that is more than that", () => {
  const etc = join(folder, "etc");
  // The script itself, with its folder moved and what needs root left out.
  const script = readFileSync(join(ROOT, "packaging/linux/postinst"), "utf8")
    .replaceAll("/etc/migrate-agent", etc)
    .replaceAll("/run/systemd/system", join(folder, "no-systemd"))
    .replace("getent passwd migrate-agent", "true");
  const install = (environment: Record<string, string>, verb = "configure") => {
    rmSync(etc, { recursive: true, force: true });
    const { status, stderr } = spawnSync("/bin/sh", ["-c", script, "postinst", verb], {
      env: { PATH: process.env["PATH"] ?? "", ...environment },
      encoding: "utf8",
    });
    expect(status).toBe(0);
    const kept = join(etc, "environment");
    return { stderr, text: existsSync(kept) ? readFileSync(kept, "utf8") : null, kept };
  };
  const right = install({ REGISTER_CODE: "ABCD-EFGH", MIGRATE_API_URL: "https://app.example:8443/x_1" });
  expect(right.text).toBe("REGISTER_CODE=ABCD-EFGH\nMIGRATE_API_URL=https://app.example:8443/x_1\n");
  expect(statSync(right.kept).mode & 0o777).toBe(0o600);
  expect(statSync(etc).mode & 0o777).toBe(0o700);
  const wrong = install({ REGISTER_CODE: "ABCD-EFGH", MIGRATE_API_URL: "https://x\nLD_PRELOAD=/tmp/x" });
  expect(wrong.text).toBe("REGISTER_CODE=ABCD-EFGH\n");
  expect(wrong.stderr).toMatch(/MIGRATE_API_URL holds characters that do not belong there/);
  expect(install({}).text).toBeNull();
  expect(install({ REGISTER_CODE: "ABCD-EFGH" }, "abort-upgrade").text).toBeNull();
});

test.skipIf(!has("systemd-analyze"))("[A112] systemd understands the service (needs systemd-analyze)", () => {
  // With a program that is there, so that it is not what is complained of.
  const unit = join(folder, "migrate-agent.service");
  writeFileSync(unit, readFileSync(SERVICE, "utf8").replace("/usr/bin/migrate-agent", "/bin/true"));
  const { status, stderr } = spawnSync("systemd-analyze", ["verify", "--man=no", unit], { encoding: "utf8" });
  expect(stderr.split("\n").filter((line) => line.includes("migrate-agent.service"))).toEqual([]);
  expect(status).toBe(0);
});

test("[A111] on a Mac the installation registers once, and tells launchd what to start", () => {
  const root = join(folder, "mac");
  const heard = join(root, "heard");
  mkdirSync(join(root, "bin"), { recursive: true });
  mkdirSync(join(root, "Library/LaunchDaemons"), { recursive: true });
  const write = (path: string, text: string) => writeFileSync(join(root, path), text, { mode: 0o755 });
  // An agent that keeps its registration, and a launchctl that hears what it is told: Linux has neither.
  write("migrate-agent", `#!/bin/sh\necho "agent $*" >> ${heard}\ntouch "$6/config.toml"\n`);
  write("bin/launchctl", `#!/bin/sh\necho "launchctl $*" >> ${heard}\n`);
  const script = readFileSync(join(ROOT, "packaging/macos/install.sh"), "utf8")
    .replaceAll("/usr/local", root)
    .replaceAll('"/Library', `"${root}/Library`);
  write("install.sh", script);
  const install = () =>
    spawnSync("/bin/sh", [join(root, "install.sh")], {
      env: {
        PATH: `${root}/bin:${process.env["PATH"]}`,
        REGISTER_CODE: "ABCD-EFGH",
        MIGRATE_API_URL: "https://app.example",
      },
      encoding: "utf8",
    });
  const state = `${root}/Library/Application Support/migrate-agent`;
  const plist = `${root}/Library/LaunchDaemons/app.theonemigrate.agent.plist`;
  expect([install().stderr, install().status]).toEqual(["", 0]);
  const told = ["launchctl bootout system/app.theonemigrate.agent", `launchctl bootstrap system ${plist}`];
  expect(readFileSync(heard, "utf8").trim().split("\n")).toEqual([
    `agent --register ABCD-EFGH --url https://app.example --state ${state} --exit`,
    ...told,
    ...told,
  ]);
  expect(readFileSync(plist, "utf8")).toContain(
    `<array><string>${root}/bin/migrate-agent</string><string>start</string><string>--state</string><string>${state}</string></array>`,
  );
  expect(readFileSync(plist, "utf8")).not.toContain("ABCD-EFGH");
  expect(statSync(state).mode & 0o777).toBe(0o700);
});
