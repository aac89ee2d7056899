/** A thing that a step can do: work that a host does, or a fault. */
import type { Client } from "../world/client.ts"
import type { Dice } from "./dice.ts"
import type { Simulation } from "./simulation.ts"

export interface Rule<Name extends string = string> {
  name: Name
  /** One sentence: what happens. */
  says: string
  /** How often, beside the others. */
  weight: number
  /**
   * Does it to a process, or to what lies behind it. Says what it did, for the trace; undefined if it could not be done
   * just then.
   */
  strike(sim: Simulation, client: Client, dice: Dice): string | undefined | Promise<string | undefined>
}
