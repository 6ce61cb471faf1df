/**
 * What a Dockerfile makes, made in plain folders without an engine of containers: each stage is a folder that stands for its root.
 */
import { cpSync, mkdirSync } from 'node:fs'
import { basename, isAbsolute, join } from 'node:path'
import { type Copy, DockerfileParser, type Env as EnvInstruction } from 'dockerfile-ast'
import { type Env, run } from './run.js'

export interface Stage {
  /** Stands for `/`. */
  readonly root: string
  workdir: string
  user: string
  readonly env: Record<string, string>
  readonly volumes: Array<string>
  stopSignal: NodeJS.Signals
  command: ReadonlyArray<string>
  health: ReadonlyArray<string>
}

/** Where a path of the image is on this machine. */
export const placeIn = ({ root, workdir }: Pick<Stage, 'root' | 'workdir'>, path: string) =>
  isAbsolute(path) ? join(root, path) : join(root, workdir, path)

/** The environment of a process in it. A value that is a path is where that is. */
export const environmentOf = (stage: Stage): Env =>
  Object.fromEntries(
    Object.entries(stage.env).map(([name, value]) => [
      name,
      value.startsWith('/') ? placeIn(stage, value) : value,
    ]),
  )

export interface Making {
  readonly folder: string
  /** The context that the image is built from. */
  readonly context: string
  /** Names of files and folders that the context does not have. */
  readonly ignored: ReadonlySet<string>
  /** Does a step in another way; undefined for the steps that are to be run as they are. */
  readonly instead: (step: string, stage: Stage) => Promise<void> | undefined
  readonly env?: Env
}

/** Does what a Dockerfile says, step by step. Fails for what it does not know. */
export const makeImage = async (text: string, making: Making): Promise<ReadonlyMap<string, Stage>> => {
  const stages = new Map<string, Stage>()
  let stage: Stage
  /** Of the form that starts no shell, which would be told to stop in the program's place. */
  const json = (content: string) => JSON.parse(content.slice(content.indexOf('['))) as ReadonlyArray<string>
  const steps: Record<string, (content: string, instruction: unknown) => Promise<unknown> | void> = {
    FROM: (content) => {
      const name = / AS (\S+)/i.exec(content)?.[1] ?? 'last'
      const root = join(making.folder, name)
      mkdirSync(root, { recursive: true })
      stage = {
        ...{ root, workdir: '/', user: 'root', env: {}, volumes: [], stopSignal: 'SIGTERM' },
        ...{ command: [], health: [] },
      }
      stages.set(name, stage)
    },
    WORKDIR: (content) => {
      stage.workdir = content
      mkdirSync(placeIn(stage, '.'), { recursive: true })
    },
    COPY: (_content, instruction) => {
      const copy = instruction as Copy
      const from = copy
        .getFlags()
        .find((flag) => flag.getName() === 'from')
        ?.getValue()
      const [source, target] = copy.getArguments().map((argument) => argument.getValue())
      const place =
        from === undefined || from === null
          ? join(making.context, source!)
          : placeIn(stages.get(from)!, source!)
      cpSync(place, placeIn(stage, target!), {
        recursive: true,
        verbatimSymlinks: true,
        filter: (path) => from !== undefined || !making.ignored.has(basename(path)),
      })
    },
    RUN: (content) => {
      const given = making.instead(content, stage)
      if (given !== undefined) return given
      // No user of the image is one of this machine.
      const here = content
        .replaceAll(/ (\/\w+)/g, ` ${stage.root}$1`)
        .replaceAll('node:node', `${process.getuid!()}`)
      return run('sh', ['-euc', here], {
        cwd: placeIn(stage, '.'),
        env: { ...making.env, ...environmentOf(stage) },
      })
    },
    ENV: (_content, instruction) => {
      for (const property of (instruction as EnvInstruction).getProperties())
        stage.env[property.getName()] = property.getValue()!
    },
    USER: (content) => void (stage.user = content),
    VOLUME: (content) => void stage.volumes.push(content),
    EXPOSE: () => {},
    HEALTHCHECK: (content) => void (stage.health = json(content)),
    STOPSIGNAL: (content) => void (stage.stopSignal = content as NodeJS.Signals),
    CMD: (content) => void (stage.command = json(content)),
  }
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    const step = steps[instruction.getKeyword()]
    if (step === undefined) throw new Error(`a step of a kind that is not known: ${instruction.getKeyword()}`)
    await step(instruction.getArgumentsContent() ?? '', instruction)
  }
  return stages
}
