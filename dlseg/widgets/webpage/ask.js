// The CRF's engine (engine.js, worker.js) in a worker of its own, and how it is asked: by the studio in a page
// (studio.js) and by the studio in a notebook (preview.js). No dependencies.

/** Starts the worker. `source` is the text of engine.js and worker.js; `ask(question)` promises the answer. */
function startEngine(source) {
  // one classic script: the engine's `export`s mean nothing there
  const script = URL.createObjectURL(new Blob([source.replace(/^export /gm, "")], {type: "text/javascript"}));
  const worker = new Worker(script), open = new Map();
  let number = 0;
  worker.onmessage = ({data}) => { open.get(data.id)?.(data); open.delete(data.id); };
  worker.onerror = ({message}) => { for (const done of open.values()) done({error: message}); open.clear(); };
  return {
    ask: (question) => new Promise((resolve) => { open.set(++number, resolve); worker.postMessage({id: number, ...question}); }),
    end: () => { worker.terminate(); URL.revokeObjectURL(script); },
  };
}

/** A queue of one: `answer` gets the newest question; those that came in between are never asked. */
function newestWins(answer) {
  let waiting = null, busy = false;
  const run = async () => {
    busy = true;
    while (waiting) {
      const question = waiting;
      waiting = null;
      await answer(question);
    }
    busy = false;
  };
  return {ask(question) { waiting = question; if (!busy) run(); }, idle: () => !busy};
}

/** Numbers of half precision as such of single precision; probabilities are never negative nor infinite. */
function singles(half) {
  const single = new Float32Array(half.length);
  for (let i = 0; i < half.length; i++) {
    const exponent = half[i] >> 10, fraction = half[i] & 1023;
    single[i] = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
  }
  return single;
}

/** What zlib compressed, as an ArrayBuffer. */
function inflated(bytes) {
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer();
}
