/** Says what it reads of an outbox that another process is writing. */
import { readingOutbox } from "../../src/store/reading.ts"

const found = readingOutbox(process.argv[2]!, (db) => db.prepare("select attempts from sturdy_stream").get())
process.stdout.write(JSON.stringify(found))
