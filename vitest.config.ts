/** Three projects: `unit` beside the code, `contract` against real workerd, `e2e` with everything real. */
import { defineConfig } from "vitest/config";
import { QUIET_VARIABLES } from "./tools/environment.ts";

Object.assign(process.env, QUIET_VARIABLES);

export default defineConfig({
  test: {
    env: { ...QUIET_VARIABLES },
    projects: [
      {
        test: {
          name: "unit",
          include: ["{schema,worker,durable-objects,ui,tools}/**/*.test.ts"],
          testTimeout: 20_000,
        },
      },
      {
        test: {
          name: "contract",
          expect: { poll: { timeout: 20_000 } },
          include: ["test/contract/**/*.test.ts"],
          setupFiles: ["test/contract/every-file.ts"],
          // One workerd for all files; each test makes organizations of its own.
          isolate: false,
          maxWorkers: 1,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "e2e",
          // A machine that does other things as well is slow, and not wrong.
          expect: { poll: { timeout: 20_000 } },
          include: ["test/{e2e,faults}/**/*.test.ts"],
          // Each file brings up the whole product, and waits for it most of the time: two cores carry two of them.
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
