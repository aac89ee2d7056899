/** `npm run bundle:opencode`: the plugin as one file, with everything that it needs in it. */
import { expect, test } from "bun:test"
import { readdirSync } from "node:fs"
import { tempDir } from "../temp-dir.ts"
import { useInstalled } from "./installed.ts"
import { bundleTo } from "./package-forms.ts"

test("the bundled file is a plugin with one export, and shares, without node_modules", async () => {
  await using dir = tempDir()
  const file = dir.file("sturdy-opencode.js")
  bundleTo(file)
  expect(readdirSync(dir.path)).toEqual(["sturdy-opencode.js"])

  const installed = await useInstalled(dir.path, file)
  const { import_ms: _ms, gateway, share, ...rest } = installed
  expect(rest).toEqual({
    exported: ["default"],
    id: "sturdy",
    names: ["id", "server"],
    said: [],
    shown: ["session", "message", "part"],
    service: rest.service,
  })
  expect(gateway).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{22}\/0$/)
  expect(share.url).toBe(`${rest.service}/share/${share.id}`)
})
