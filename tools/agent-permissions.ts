/**
 * What the agent may do, for the executable and for `deno run` alike: talk to the network, read (the sources are chosen in
 * the dashboard), write (its state folder can be given), and look at a few named facts. It can start no program and load
 * nothing native.
 */
export const AGENT_PERMISSIONS: readonly string[] = [
  "--allow-net",
  "--allow-read",
  "--allow-write",
  `--allow-env=${[
    "MIGRATE_API_URL,MIGRATE_AGENT_KEY,MIGRATE_STATE_DIR",
    // Where the state folder is.
    "XDG_STATE_HOME,HOME,LOCALAPPDATA,ProgramData",
    // How to reach the network.
    "HTTPS_PROXY,https_proxy,HTTP_PROXY,http_proxy,ALL_PROXY,all_proxy,DENO_CERT,DENO_TLS_CA_STORE",
  ].join(",")}`,
  "--allow-sys=hostname,osRelease,uid",
];
