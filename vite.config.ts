import { defineConfig } from "vite";

/** The module `id` and, by static imports alone, everything that brings it along. */
type ModuleInfo = { readonly importers: readonly string[]; readonly isEntry: boolean } | null;

// No plugin: vite reads `jsxImportSource` from ui/tsconfig.json.
export default defineConfig({
  root: "ui",
  build: {
    outDir: "../dist/ui",
    emptyOutDir: true,
    rolldownOptions: {
      output: {
        codeSplitting: {
          // What the first view needs is one file. Left alone, each module that some page fetched later shares with it
          // becomes a file of its own, and the many small ones weigh more.
          groups: [
            {
              debugName: "first view",
              name: (id, context) =>
                isOfFirstView(id, (other) => context.getModuleInfo(other)) ? "first" : null,
            },
          ],
        },
      },
    },
  },
});

function isOfFirstView(id: string, infoOf: (id: string) => ModuleInfo, seen = new Set<string>()): boolean {
  seen.add(id);
  const info = infoOf(id);
  if (info === null) return false;
  return info.isEntry || info.importers.some((from) => !seen.has(from) && isOfFirstView(from, infoOf, seen));
}
