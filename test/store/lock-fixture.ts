/** Holds the write lock until its standard input ends. */
import { Database } from "bun:sqlite"

const db = new Database(process.argv[2]!, { readwrite: true, create: false })
db.run("begin immediate")
process.stdout.write("locked\n")
for await (const _ of process.stdin);
db.run("rollback")
db.close()
