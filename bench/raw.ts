/** What SQLite itself can do with the same bytes: the yardstick beside every figure. */
import { Database } from "bun:sqlite"

export function rawTable(file: string, synchronous: "normal" | "full") {
  const db = new Database(file)
  db.run("pragma journal_mode = wal")
  db.run(`pragma synchronous = ${synchronous}`)
  db.run("pragma wal_autocheckpoint = 0")
  db.run("create table op (seq integer primary key, op_id blob, time_created integer, method text, args text)")
  const insert = db.prepare("insert into op (op_id, time_created, method, args) values (?, ?, ?, ?)")
  const begin = db.prepare("begin immediate")
  const commit = db.prepare("commit")
  const id = new Uint8Array(16)
  return {
    one(args: string) {
      begin.run()
      insert.run(id, 1_795_237_858_162, "note.put", args)
      commit.run()
    },
    many(args: string, count: number) {
      begin.run()
      for (let i = 0; i < count; i++) insert.run(id, 1_795_237_858_162, "note.put", args)
      commit.run()
    },
    checkpoint: () => void db.prepare("pragma wal_checkpoint(truncate)").get(),
    close: () => db.close(),
  }
}
