/**
 * The disk of a simulated machine: the databases and manifests of the agent's folder. It survives whoever uses it; one whose
 * life is over changes nothing on it any more, and what it had not committed is gone.
 */
import { DatabaseSync } from "node:sqlite";
import { type Database, DiskError, type NewFile, type SqlRow } from "../../agent/platform.ts";

export class SimulatedDisk {
  readonly #databases = new Map<string, DatabaseSync>();
  /** Files by their path. */
  readonly files = new Map<string, Uint8Array>();

  openDatabase(path: string, isOver: () => boolean): Database {
    const database = this.#databases.get(path) ?? new DatabaseSync(":memory:");
    this.#databases.set(path, database);
    // What a crash left in the middle is gone.
    if (database.isTransaction) database.exec("ROLLBACK");
    const mustLive = () => {
      if (isOver()) throw new DiskError("other", "This life is over");
    };
    return {
      execute: (sql) => {
        mustLive();
        database.exec(sql);
      },
      prepare: (sql) => {
        const statement = database.prepare(sql);
        return {
          run: (...parameters) => {
            mustLive();
            statement.run(...parameters);
          },
          get: (...parameters) => statement.get(...parameters),
          iterate: (...parameters) => statement.iterate(...parameters) as Iterable<SqlRow>,
        };
      },
      close: () => {},
    };
  }

  removeDatabase(path: string): void {
    this.#databases.delete(path);
  }

  /** Databases in a folder, without the helper files that a system's disk has beside them. */
  readFolder(folder: string): { readonly name: string; readonly kind: "file" }[] {
    return [...this.#databases.keys()]
      .filter((path) => path.startsWith(`${folder}/`))
      .map((path) => ({ name: path.slice(folder.length + 1), kind: "file" }));
  }

  create(path: string, isOver: () => boolean): NewFile {
    if (!isOver()) this.files.set(path, new Uint8Array());
    return {
      write: (bytes) => {
        const before = this.files.get(path) ?? new Uint8Array();
        if (!isOver()) this.files.set(path, Uint8Array.from([...before, ...bytes]));
      },
      finish: () => {},
    };
  }
}
