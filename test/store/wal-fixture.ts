/**
 * Writes to a database in WAL mode until it is killed: transactions at random, with a page cache so small that they write
 * before their COMMIT, and pages again that they wrote before; rollbacks, savepoints, checkpoints. Says `ready` once.
 */
import { Database } from "bun:sqlite"
import { seededRandom } from "../durability/power-loss/seeded-random.ts"

const [file, seed] = process.argv.slice(2) as [string, string]
const random = seededRandom(Number(seed))

const db = new Database(file)
for (const pragma of ["journal_mode = wal", "synchronous = normal", "wal_autocheckpoint = 0", "cache_size = 4"])
  db.run(`pragma ${pragma}`)
db.run("create table if not exists item (id integer primary key, text text)")
const put = db.prepare("insert or replace into item values (?, ?)")

const rows = 60
function change(): void {
  for (let n = random(40); n > 0; n--) put.run(random(rows), "x".repeat(random(6_000)))
}

process.stdout.write("ready\n")
for (;;) {
  db.run("begin immediate")
  change()
  if (random(3) === 0) {
    db.run("savepoint inner")
    change()
    if (random(2) === 0) db.run("rollback to inner")
    change()
  }
  db.run(random(4) === 0 ? "rollback" : "commit")
  if (random(12) === 0) db.prepare(`pragma wal_checkpoint(${random(2) === 0 ? "truncate" : "passive"})`).get()
}
