// What Python sends to the views; a change there (moe_viz/components) is a change here.

declare module "*.css" {
  const text: string;
  export default text;
}

type Words = Record<string, string>;

interface Look {
  colours: string[];
  patterns: string[];
}

/** moe_viz/components/pack.py and routing.py. Flat lists are row-major; thousandths are whole numbers, -1 where there is none. */
interface RoutingPayload {
  step: number;
  layer: number;
  capacity: number | null;
  n_tokens: number;
  n_experts: number;
  k: number;
  first_expert: number;
  tokens: string[];
  groups: string[];
  languages: (string | null)[];
  group: number[];
  sequence: number[];
  position: number[];
  expert: number[];
  weight: number[];
  kept: number[];
  slot: number[];
  probs: number[];
  dead: number[] | null;
  images?: { height: number; width: number; colour: boolean; pixels: string[] | null; n?: number; id?: string; arrived?: boolean };
  points?: number[];
  look: Look;
  labels: Words;
  recorded: boolean;
  height: number;
  motion: boolean;
  filling: boolean;
  selected: { kind: "token" | "expert"; index: number } | null;
  title: string;
  peak: number;
  lit: number[] | null;
}

/** moe_viz/components/gate_map.py. owner, prediction, probs: base64 of bytes. */
interface GateMapPayload {
  step: number;
  layer: number;
  resolution: number;
  n_experts: number;
  owner: string;
  prediction: string;
  probs: string;
  unit: number;
  follows: boolean;
  points: number[];
  painted: string;
  look: Look;
  labels: Words;
  letters: string[] | string;
  grid: number;
  most: number;
  height: number;
  motion: boolean;
  summary: string;
}

/** moe_viz/components/mixture.py. Rows are experts; posterior, prior, pull, error: flat, point by point, one value an expert. */
interface MixturePayload {
  step: number;
  newest: number;
  x: number[];
  y: number[];
  places: number[];
  limits: [number, number, number, number];
  axis: { x: string; y: string };
  along: number[];
  lines: number[][];
  spread: number[][];
  gate: number[][];
  blend: number[];
  splits: number[][];
  prior: number[];
  posterior: number[];
  pull: number[];
  error: number[];
  ribbons: boolean;
  strip: boolean;
  selected: number;
  painted: string;
  look: Look;
  labels: Words;
  grid: number;
  most: number;
  height: number;
  motion: boolean;
  summary: string;
}

/** moe_viz/components/scrubber.py */
interface ScrubberPayload {
  steps: number[];
  shown: number;
  first: number;
  last: number;
  checkpoints: number[];
  events: number[];
  pins: Record<string, number | null>;
  axes: [number, number][];
  labels: Words;
}

/** moe_viz/components/connection.py */
interface ConnectionPayload {
  picture: number;
  every: number;
  heard: Record<string, number>;
  announced: string;
  labels: Words;
}

/** moe_viz/components/step_strip.py. What else a station has, its picture is drawn from. */
interface StepStripPayload {
  stations: { name: string; title: string; figure: string; [numbers: string]: unknown }[];
  cards: { name: string; title: string; station: string | null }[];
  colours: string[];
  name: string;
}

/** moe_viz/components/glossary.py. terms: id, name, definition. */
interface GlossaryPayload {
  terms: [string, string, string][];
}

/** What Streamlit hands to a component. */
interface Component<Payload> {
  parentElement: HTMLElement | ShadowRoot;
  data: Payload;
  setStateValue(name: string, value: unknown): void;
}

// What views keep for each other on the page, and on the elements that can draw themselves once more.
declare var moeVizScripts: Map<string, Promise<any>>;
declare var moeVizPictures: Map<string, string[]>;
declare var moeVizConnection: any;
declare var moeVizGlossary: any;

interface HTMLElement {
  picture?: (ctx: any, width?: number, height?: number) => void;
}

interface WindowEventMap {
  moe_viz_drawn: CustomEvent<HTMLElement>;
}

/** moe_viz/components/word_map.py. lines: pairs of ids; chosen: the id whose meaning the page shows. */
interface WordMapPayload {
  topics: { title: string; words: { id: string; name: string }[] }[];
  lines: [string, string][];
  chosen: string;
  labels: Words;
}

/** moe_viz/components/be_router.py. Experts count from 0; last column of losses: through none. */
interface BeRouterPayload {
  id: string;
  tokens: string[];
  n_experts: number;
  n_slots: number;
  probs: number[][];
  losses: number[][];
  random: number;
  best: number;
  rivals: { title: string; loss: number; score: number }[];
  colours: string[];
  labels: Words;
}
