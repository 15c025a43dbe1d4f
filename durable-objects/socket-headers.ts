/** Headers by which the Worker, which has checked them, tells an object who connects. They never come from outside. */
export const KEY_HASH_HEADER = "x-migrate-key-hash";
/** A key that the agent may be given, and its hash. */
export const SPARE_KEY_HEADER = "x-migrate-spare-key";
export const SPARE_KEY_HASH_HEADER = "x-migrate-spare-key-hash";
export const ORG_HEADER = "x-migrate-org";
export const JOB_HEADER = "x-migrate-job";
export const SESSION_HEADER = "x-migrate-session";
export const ROLE_HEADER = "x-migrate-role";
