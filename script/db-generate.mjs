// npm run db:generate -- --name x: drizzle-kit writes the folder, then the embedded list is brought up to date.
import { spawnSync } from "node:child_process"

const generated = spawnSync("drizzle-kit", ["generate", ...process.argv.slice(2)], { stdio: "inherit", shell: true })
if (generated.status !== 0) process.exit(generated.status ?? 1)
await import("./embed-migrations.mjs")
