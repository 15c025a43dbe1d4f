import assert from "node:assert/strict";
import { denoPlatform } from "./platform-deno.ts";
import { mayRemove, parsePolicy, PolicyError } from "./policy.ts";

const { disk } = denoPlatform(() => undefined);

Deno.test("[A62] without a policy, or with one that is not understood, nothing may be removed", () => {
  assert.deepEqual(parsePolicy(null), { deleteRoots: [] });
  assert.equal(mayRemove(parsePolicy(null), "/", disk), false);
  for (const text of [
    "",
    "{",
    "[]",
    '{"deleteRoots":"/srv"}',
    '{"deleteroots":["/srv"]}',
    '{"deleteRoots":[""]}',
  ])
    assert.throws(() => parsePolicy(text), PolicyError, text);
});

Deno.test("[A62] files may be removed from the roots that are named and below, by their real paths, and nowhere else", () => {
  const root = Deno.makeTempDirSync();
  try {
    for (const name of ["in/deep", "in-not", "other"]) Deno.mkdirSync(`${root}/${name}`, { recursive: true });
    Deno.symlinkSync(`${root}/other`, `${root}/in/link`);
    Deno.symlinkSync(`${root}/in`, `${root}/alias`);
    const policy = parsePolicy(JSON.stringify({ deleteRoots: [`${root}/in`] }));
    const allowed = ["in", "in/", "in/deep", "alias", "alias/deep"];
    const refused = ["in-not", "other", "in/link", "in/../other", ".", "missing"];
    for (const path of allowed) assert.equal(mayRemove(policy, `${root}/${path}`, disk), true, path);
    for (const path of refused) assert.equal(mayRemove(policy, `${root}/${path}`, disk), false, path);
    assert.equal(mayRemove(parsePolicy('{"deleteRoots":["/"]}'), root, disk), true);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
});
