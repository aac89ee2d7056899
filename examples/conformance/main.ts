/** Is this server one that Sturdy's clients can trust? sh script/bun.sh examples/conformance/main.ts */
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { eachServiceCheck } from "../../src/testing/conformance/index.ts"
import { serveNotes } from "../notes/service.ts"

const checks = eachServiceCheck({
  // A server of your own, in any language: all that is needed is its URL. Each hook that you give unlocks more checks.
  make: () => {
    const server = serveNotes(join(mkdtempSync(join(tmpdir(), "notes-")), "service.db"))
    return { service: `${server.url}/rpc/share`, close: () => server.stop(), server }
  },
  methods: {
    applied: { method: "create", args: [{ title: "Plan" }] },
    rejected: { method: "rename", args: ["a note", ""] },
  },
  effects: ({ server }, op_id) => server.sql.all("select 1 from note where id = ?", op_id).length,
})

// With a test runner: for (const { name, run, skip } of checks) (skip ? test.skip : test)(name, run)
for (const { name, run, skip } of checks)
  if (skip) console.log("-", name)
  else
    await run().then(
      () => console.log("✓", name),
      (error: Error) => console.log("✗", name, `\n${error.message}`),
    )
