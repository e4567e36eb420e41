// The model in ONNX Runtime: a square of pixels becomes an answer.
"use strict";

const OUTPUTS = ["probability", "logit", "heatmap", "offset", "unsure", "unfamiliar"];

async function openModel(ort, wasm, model, size) {
  ort.env.wasm.wasmBinary = wasm;
  ort.env.wasm.numThreads = 1;
  ort.env.logLevel = "error";
  const session = await ort.InferenceSession.create(model, {executionProviders: ["wasm"]});
  return async function predict(square) {
    const photo = new ort.Tensor("uint8", new Uint8Array(square.buffer), [1, size, size, 3]);
    const found = await session.run({photo}, OUTPUTS);
    return {
      probability: found.probability.data[0],
      logit: found.logit.data[0],
      heatmap: Array.from(found.heatmap.data),
      offset: found.offset.data[0],
      unsure: Boolean(found.unsure.data[0]),
      unfamiliar: Boolean(found.unfamiliar.data[0]),
    };
  };
}
