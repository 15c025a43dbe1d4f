/** How an agent is run, as an executable and by `deno run` alike. */

/**
 * A heap that grows in small steps: an agent is a guest on its machine, and what it throws away (pages of listings, lines of
 * the journal) is large and short-lived. Without it an upload of many small files takes 80 MB more, at the same speed.
 */
export const AGENT_V8_FLAGS = "--v8-flags=--heap-growing-percent=20,--max-semi-space-size=4,--expose-gc";

/**
 * What the agent may do: talk to the network, read (the sources are chosen in the dashboard), write (its state folder can be
 * given), and look at a few named facts. It can start no program and load nothing native.
 */
export const AGENT_PERMISSIONS: readonly string[] = [
  "--allow-net",
  "--allow-read",
  "--allow-write",
  `--allow-env=${[
    "REGISTER_CODE,MIGRATE_API_URL,MIGRATE_AGENT_KEY,MIGRATE_STATE_DIR",
    // Where the state folder is.
    "XDG_STATE_HOME,HOME,LOCALAPPDATA,ProgramData",
    // How to reach the network.
    "HTTPS_PROXY,https_proxy,HTTP_PROXY,http_proxy,ALL_PROXY,all_proxy,NO_PROXY,no_proxy,DENO_CERT,DENO_TLS_CA_STORE,SSL_CERT_FILE,SSL_CERT_DIR",
  ].join(",")}`,
  "--allow-sys=hostname,osRelease,uid",
];
