/** How agents bring the manifests of their runs; `schema/manifest.ts` tells the whole way. */
import { Hono, type Context } from "hono";
import { jobId } from "../../schema/ids.ts";
import {
  MANIFEST_PART_BYTES_MAX,
  manifestCompletion,
  manifestPartQuery,
  manifestQuery,
  type ManifestState,
} from "../../schema/manifest.ts";
import { addressOf, readBody, readId, readQuery, type App } from "../context.ts";
import { assertReported, assertUploadable, findManifest, recordManifest } from "../db/manifests.ts";
import { dropParts, joinParts, stagedParts, stagePart, type ManifestOf } from "../exports/manifest-store.ts";
import { invalid } from "../problems.ts";

export const agentManifests = new Hono<App>()
  .get("/:id/manifest", async (c) => {
    const { epoch } = readQuery(c, manifestQuery);
    return c.json(await stateOf(c, await ownRun(c, epoch)));
  })
  .put("/:id/manifest", async (c) => {
    const { epoch, part } = readQuery(c, manifestPartQuery);
    const of = await ownRun(c, epoch);
    const body = c.req.raw.body;
    const sizeBytes = Number(c.req.header("content-length") ?? Number.NaN);
    if (body === null || !Number.isSafeInteger(sizeBytes) || sizeBytes < 1) {
      throw invalid({ "Content-Length": "Say how many bytes are sent, and send some" });
    }
    if (sizeBytes > MANIFEST_PART_BYTES_MAX) throw invalid({ "": "The part is too large" });
    await stagePart(c.env.MANIFESTS, of, { part, body });
    return c.body(null, 204);
  })
  .post("/:id/manifest", async (c) => {
    const completion = await readBody(c, manifestCompletion);
    const of = await ownRun(c, completion.epoch);
    const db = c.get("db");
    if ((await findManifest(db, of.jobId, of.epoch)) === null) {
      await assertReported(db, of.jobId, completion);
      const { epoch, sha256, rows } = completion;
      const object = await joinParts(c.env.MANIFESTS, of, completion);
      const actor = { kind: "agent", id: c.get("agent").agentId, address: addressOf(c) } as const;
      await recordManifest(db, actor, of.jobId, { epoch, sha256, rows, ...object });
    }
    await dropParts(c.env.MANIFESTS, of);
    return c.json(await stateOf(c, of));
  });

async function ownRun(c: Context<App>, epoch: number): Promise<ManifestOf> {
  const db = c.get("db");
  const run = { jobId: readId(c, jobId), epoch };
  await assertUploadable(db, c.get("agent").agentId, run);
  return { orgId: db.orgId, ...run };
}

async function stateOf(c: Context<App>, of: ManifestOf): Promise<ManifestState> {
  const stored = (await findManifest(c.get("db"), of.jobId, of.epoch)) !== null;
  const parts = stored ? [] : [...(await stagedParts(c.env.MANIFESTS, of)).keys()];
  return { jobId: of.jobId, epoch: of.epoch, stored, parts };
}
