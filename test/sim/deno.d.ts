/** All that is used of Deno here; its own types do not go together with the Worker's. */
declare namespace Deno {
  function test(name: string, act: () => Promise<void>): void;
}
interface ImportMeta {
  readonly main: boolean;
}
