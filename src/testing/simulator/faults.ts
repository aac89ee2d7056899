/** Every fault that the simulator knows. What each does: docs/failure-kit.md, made from these. */
import { networkFaults } from "./network-faults.ts"
import { processFaults } from "./process-faults.ts"
import type { Rule } from "./rule.ts"
import { serviceFaults } from "./service-faults.ts"

const rules = [...networkFaults, ...serviceFaults, ...processFaults] as const

export type FaultName = (typeof rules)[number]["name"]

export const faults: readonly Rule<FaultName>[] = rules
