/** The agent's version, as it is registered, said in `hello` and printed. The same as in `package.json`. */
export const AGENT_VERSION = "0.1.0";
