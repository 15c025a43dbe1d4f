/** Releases of the agent: for agents that keep themselves up to date, and for people who install one. */
import { Hono, type Context } from "hono";
import { executableQuery, releaseQuery, type ReleaseShown } from "../../schema/release.ts";
import { readQuery, type App } from "../context.ts";
import { notFound } from "../problems.ts";
import { openExecutable, shownRelease, signedReleaseOf } from "../releases.ts";

const BINARY = "application/octet-stream";

export const agentReleases = new Hono<App>()
  .get("/", async (c) => {
    const text = await signedReleaseOf(c.env.RELEASES, readQuery(c, releaseQuery).channel);
    if (text === null) throw notFound();
    return c.body(text, 200, { "Content-Type": "application/json" });
  })
  .get("/executable", async (c) => {
    const { object } = await executableOf(c);
    return c.body(object.body, 200, { "Content-Type": BINARY, "Content-Length": String(object.size) });
  });

export const releases = new Hono<App>()
  .get("/", async (c) => {
    const text = await signedReleaseOf(c.env.RELEASES, readQuery(c, releaseQuery).channel);
    const shown: ReleaseShown = { release: text === null ? null : shownRelease(text) };
    return c.json(shown);
  })
  .get("/executable", async (c) => {
    const { path, object } = await executableOf(c);
    // As every command that we print has it.
    const name = path.includes("-windows-") ? "migrate-agent.exe" : "migrate-agent";
    return c.body(object.body, 200, {
      "Content-Type": BINARY,
      "Content-Length": String(object.size),
      "Content-Disposition": `attachment; filename="${name}"`,
      "X-Content-Type-Options": "nosniff",
    });
  });

async function executableOf(c: Context<App>): Promise<{ path: string; object: R2ObjectBody }> {
  const { path } = readQuery(c, executableQuery);
  const object = await openExecutable(c.env.RELEASES, path);
  if (object === null) throw notFound();
  return { path, object };
}
