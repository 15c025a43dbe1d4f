import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { NODE } from "../environment.ts";
import { startChild, waitFor } from "./children.ts";

const folder = mkdtempSync(join(tmpdir(), "children-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Ignores SIGTERM, has a child of its own, and says its number when it is ready. */
function stubborn(name: string): string[] {
  return ["-c", `trap '' TERM; sleep 600 & echo $$ > ${join(folder, name)}; while :; do sleep 1; done`];
}

/** Zombies do not count, whoever of the group they were: who adopted them may take a while to bury them. */
function livesInGroup(group: number): boolean {
  return readdirSync("/proc").some((name) => /^\d+$/.test(name) && isMember(name, group));
}

function isMember(pid: string, group: number): boolean {
  try {
    // Behind the name, which may hold anything: state, parent, group (proc(5)).
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const [state, , memberOf] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return Number(memberOf) === group && state !== "Z" && state !== "X";
  } catch {
    return false;
  }
}

async function groupOf(name: string): Promise<number> {
  const file = join(folder, name);
  const read = async () => (existsSync(file) && Number(readFileSync(file, "utf8"))) || undefined;
  return await waitFor("The child", read, { limitMs: 10_000 });
}

async function expectGone(group: number): Promise<void> {
  await waitFor("Its end", async () => (livesInGroup(group) ? undefined : true), { limitMs: 10_000 });
}

test("a child that ignores SIGTERM is killed after the limit, with what it started", async () => {
  const child = startChild({
    command: "/bin/sh",
    arguments: stubborn("stopped"),
    logFile: join(folder, "stubborn.log"),
    stopLimitMs: 300,
  });
  const group = await groupOf("stopped");
  await child.stop();
  expect(child.exitCode).toBe(128 + 9);
  await expectGone(group);
});

test("what a child started goes when the child ends by itself", async () => {
  const child = startChild({
    command: "/bin/sh",
    arguments: ["-c", `sleep 600 & echo $$ > ${join(folder, "ended")}`],
    logFile: join(folder, "ended.log"),
  });
  await child.exited;
  await expectGone(await groupOf("ended"));
});

test("a child that dies early is an error with its exit code and its last lines", async () => {
  const child = startChild({
    command: "/bin/sh",
    arguments: ["-c", "echo one; echo the port is taken >&2; exit 3"],
    logFile: join(folder, "early.log"),
  });
  const waiting = waitFor("The thing", async () => undefined, { limitMs: 10_000, child });
  await expect(waiting).rejects.toThrow("The thing stopped with exit code 3:\none\nthe port is taken");
});

test("a program that is not there is an error, not a crash", async () => {
  const child = startChild({ command: "/nowhere/program", arguments: [], logFile: join(folder, "none.log") });
  expect(await child.exited).toBe(127);
  await child.stop();
});

// Not SIGINT and SIGHUP: whoever starts the tests in the background hands them down as ignored.
test.each(["SIGTERM", "SIGKILL"] as const)(
  "children do not outlive a parent that is ended by %s",
  async (signal) => {
    const script = join(folder, `parent-${signal}.ts`);
    writeFileSync(
      script,
      `import { startChild } from ${JSON.stringify(join(import.meta.dirname, "children.ts"))};
       startChild({ command: "/bin/sh", arguments: ${JSON.stringify(stubborn(signal))}, logFile: ${JSON.stringify(join(folder, "p.log"))} });
       setInterval(() => undefined, 1_000);`,
    );
    const parent = spawn(NODE, [script], { stdio: "ignore" });
    const group = await groupOf(signal);
    expect(livesInGroup(group)).toBe(true);
    parent.kill(signal);
    await expectGone(group);
  },
);

test("a child that is stopped does not keep its parent alive", async () => {
  const script = join(folder, "leaves.ts");
  writeFileSync(
    script,
    `import { startChild } from ${JSON.stringify(join(import.meta.dirname, "children.ts"))};
     const child = startChild({ command: "/bin/sleep", arguments: ["600"], logFile: ${JSON.stringify(join(folder, "l.log"))} });
     await child.stop();`,
  );
  const parent = spawn(NODE, [script], { stdio: "ignore" });
  const code = await new Promise((resolve) => parent.once("exit", resolve));
  expect(code).toBe(0);
});
