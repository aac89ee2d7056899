/** A program that looks into a database, and does not end its transaction. */
import { Database } from "bun:sqlite"
import { say, told } from "../torture/child.ts"

const { file } = JSON.parse(process.argv[2]!) as { file: string }
const db = new Database(file, { readonly: true })
db.run("begin")
db.query("select count(*) from sturdy_op").get()
say({ is: "reading" })
await told()
db.close()
