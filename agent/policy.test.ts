import assert from "node:assert/strict";
import type { JobDestination } from "../schema/job.ts";
import { denoPlatform } from "./platform-deno.ts";
import { LocalPolicy, parsePolicy, PolicyError } from "./policy.ts";

const { disk } = denoPlatform(() => undefined);

function policyOf(value: object | string | null) {
  const logged: string[] = [];
  const policy = new LocalPolicy({
    read: () => (value === null || typeof value === "string" ? value : JSON.stringify(value)),
    disk,
    log: (_, { message }) => logged.push(message),
  });
  const job = (path: string, to: Partial<JobDestination> = {}) => ({
    source: { kind: "local" as const, path },
    destination: {
      kind: "azure_blob" as const,
      account: "acme",
      container: "plans",
      prefix: "",
      tier: "Hot" as const,
      ...to,
    },
  });
  return { policy, job, logged };
}

function inFolders(test: (root: string) => void): void {
  const root = Deno.makeTempDirSync();
  try {
    for (const name of ["in/deep", "in-not", "other"]) Deno.mkdirSync(`${root}/${name}`, { recursive: true });
    Deno.symlinkSync(`${root}/other`, `${root}/in/link`);
    Deno.symlinkSync(`${root}/in`, `${root}/alias`);
    test(root);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

const WITHIN = ["in", "in/", "in/deep", "alias", "alias/deep"];
const OUTSIDE = ["in-not", "other", "in/link", "in/../other", ".", "missing"];

const WRONG = [
  "",
  "{",
  "[]",
  '{"deleteRoots":"/srv"}',
  '{"deleteroots":["/srv"]}',
  '{"deleteRoots":[""]}',
  '{"sourceRoots":[1]}',
  '{"destinations":["https://acme.blob.core.windows.net"]}',
  '{"destinations":["ACME"]}',
  '{"destinations":["acme/"]}',
  '{"destinations":["acme/*"]}',
];

Deno.test("[A62] [A63] without a policy nothing may be removed, and whatever the account can do is allowed", () => {
  assert.deepEqual(parsePolicy(null), { deleteRoots: [], updates: true });
  const { policy, job } = policyOf(null);
  assert.equal(policy.mayRemove(job("/")), false);
  assert.equal(policy.refusal(job("/")), null);
  assert.equal(policy.destinationRefusal(job("/").destination), null);
});

Deno.test("[A62] [A63] a policy that is not understood lets nothing be removed, and no job be begun, and says why", () => {
  for (const text of WRONG) {
    assert.throws(() => parsePolicy(text), PolicyError, text);
    const { policy, job, logged } = policyOf(text);
    assert.equal(policy.mayRemove(job("/")), false);
    const refusal = policy.refusal(job("/srv"));
    assert.equal(refusal?.code, "SOURCE_REFUSED");
    assert.match(
      refusal.message,
      /^Cannot read policy\.json: .+ Nothing is moved from this machine until it is mended$/s,
    );
    assert.match(policy.destinationRefusal(job("/").destination) ?? "", /policy\.json/);
    assert.equal(logged.length, 3);
  }
  const unreadable = new LocalPolicy({
    read: () => {
      throw new PolicyError("Cannot read policy.json: denied");
    },
    disk,
    log: () => {},
  });
  assert.equal(unreadable.refusal(policyOf(null).job("/srv"))?.code, "SOURCE_REFUSED");
});

Deno.test("[A62] files may be removed from the roots that are named and below, by their real paths, and nowhere else", () => {
  inFolders((root) => {
    const { policy, job } = policyOf({ deleteRoots: [`${root}/in`] });
    for (const path of WITHIN) assert.equal(policy.mayRemove(job(`${root}/${path}`)), true, path);
    for (const path of OUTSIDE) assert.equal(policy.mayRemove(job(`${root}/${path}`)), false, path);
    assert.equal(policyOf({ deleteRoots: ["/"] }).policy.mayRemove(job(root)), true);
  });
});

Deno.test("[A63] only sources in the roots that are named are read, by their real paths", () => {
  inFolders((root) => {
    const { policy, job } = policyOf({ sourceRoots: [`${root}/in`, `${root}/not-there`] });
    for (const path of WITHIN) assert.equal(policy.refusal(job(`${root}/${path}`)), null, path);
    for (const path of OUTSIDE) {
      const refusal = policy.refusal(job(`${root}/${path}`));
      assert.equal(refusal?.code, "SOURCE_REFUSED", path);
      assert.match(
        refusal.message,
        /^Cannot use the source ".+": policy\.json on the agent's machine does not allow it$/,
      );
    }
    assert.equal(policyOf({ sourceRoots: [] }).policy.refusal(job(root))?.code, "SOURCE_REFUSED");
    // What may be read may not be removed, and the other way round.
    assert.equal(policy.mayRemove(job(`${root}/in`)), false);
    assert.deepEqual(policyOf({ sourceRoots: ["/a"], deleteRoots: ["/b", "/a"] }).policy.roots, ["/a", "/b"]);
  });
});

Deno.test("[A63] only the storage accounts and containers that are named are written to", () => {
  const { policy, job } = policyOf({ destinations: ["acme", "other/plans"] });
  for (const to of [{}, { container: "anything" }, { account: "other" }])
    assert.equal(policy.refusal(job("/srv", to)), null);
  for (const to of [{ account: "other", container: "secret" }, { account: "acmee" }, { account: "acm" }]) {
    const refusal = policy.refusal(job("/srv", to));
    assert.equal(refusal?.code, "DESTINATION_REFUSED");
    assert.match(refusal.message, /^Cannot write to container ".+" of storage account ".+": policy\.json/);
    assert.equal(policy.destinationRefusal(job("/srv", to).destination), refusal.message);
  }
  assert.equal(policyOf({ destinations: [] }).policy.refusal(job("/srv"))?.code, "DESTINATION_REFUSED");
});

Deno.test("[A127] a policy turns updates off, and so does one that cannot be understood", () => {
  assert.equal(policyOf(null).policy.mayUpdate, true);
  assert.equal(policyOf({ deleteRoots: [] }).policy.mayUpdate, true);
  assert.equal(policyOf({ updates: false }).policy.mayUpdate, false);
  assert.equal(policyOf({ updates: "no" }).policy.mayUpdate, false);
  assert.equal(policyOf("{").policy.mayUpdate, false);
});
