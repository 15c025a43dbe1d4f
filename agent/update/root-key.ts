/**
 * The root key by which this agent tells releases: Ed25519, raw, in hex. Nothing a machine is set up with can put another in
 * its place; a new one comes with a new build. Null until there is one: no release is believed then, and none asked for.
 * `docs/release.md` says how it is made.
 */
export const UPDATE_ROOT_KEY: string | null = null;
