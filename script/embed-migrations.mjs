// Writes src/store/migration.gen.ts from migration/: text imports, so that a bundle or a compiled host needs no folder.
import { readdirSync, writeFileSync } from "node:fs"

const folders = readdirSync("migration").sort()
const imports = folders.map(
  (name, i) => `import sql${i} from "../../migration/${name}/migration.sql" with { type: "text" }`,
)
const entries = folders.map((name, i) => `  { name: "${name}", sql: sql${i} },`)
writeFileSync(
  "src/store/migration.gen.ts",
  `// Written by \`npm run db:generate\`. Do not edit.
// oxlint-disable-next-line typescript/triple-slash-reference -- a program that links the package has another tsconfig
/// <reference path="./sql.d.ts" />
${imports.join("\n")}

export const migrations: { name: string; sql: string }[] = [
${entries.join("\n")}
]
`,
)
