import { defineConfig } from "vite";

// No plugin: vite reads `jsxImportSource` from ui/tsconfig.json.
export default defineConfig({
  root: "ui",
  build: { outDir: "../dist/ui", emptyOutDir: true },
});
