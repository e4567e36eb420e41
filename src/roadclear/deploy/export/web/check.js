// Answers to photos in Node.js, by the parts of the page: one line of JSON a photo on stdin, one on stdout.
"use strict";

const fs = require("node:fs"), readline = require("node:readline"), {pathToFileURL} = require("node:url");

async function main([runtime, wasm, model, side, rowsFirst]) {
  scaling.rowsFirst = rowsFirst === "true";
  const size = Number(side), ort = await import(pathToFileURL(runtime));
  const predict = await openModel(ort, fs.readFileSync(wasm), fs.readFileSync(model), size);
  for await (const line of readline.createInterface({input: process.stdin})) {
    console.log(JSON.stringify(await answer(JSON.parse(line), size, predict)));
  }
}

async function answer(asked, size, predict) {
  let square;
  if (asked.width) {
    square = squareOfPixels(fs.readFileSync(asked.file), 3, asked.width, asked.height, size);
  } else {
    try {
      square = squareOfJpeg(fs.readFileSync(asked.file), size);
    } catch (error) {
      return {needs: "pixels", why: error.message};
    }
  }
  if (asked.square) fs.writeFileSync(asked.square, square);
  const started = process.hrtime.bigint(), found = await predict(square);
  return {...found, seconds: Number(process.hrtime.bigint() - started) / 1e9};
}

main(process.argv.slice(2)).catch((error) => { console.error(error.message); process.exit(1); });
