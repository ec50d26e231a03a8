// SPDX-License-Identifier: Apache-2.0
//
// Draws what page_data.h describes. Only what is seen is built: the rows of the list in view and the
// pictures of one parameter. Text from the data goes into the page as text nodes alone.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const compares = data.sides.length === 2;

  // ------------------------------------------------------------------------------ building blocks

  function add(node, attributes, children) {
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value !== null && value !== undefined) node.setAttribute(key, value);
    }
    node.append(...children.filter((child) => child !== null));
    return node;
  }
  const html = (tag, attributes, ...children) =>
    add(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) =>
    add(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

  const count = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;
  const product = (numbers) => numbers.reduce((a, b) => a * b, 1);
  const gcd = (a, b) => (b === 0 ? a : gcd(b, a % b));
  const lcm = (a, b) => (a / gcd(a, b)) * b;

  // Names come from files: characters that are not seen, or that turn the text around, are shown.
  const visible = (text) => text.replace(
    /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);

  function bytesText(bytes) {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = 0;
    for (; bytes >= 1024 && unit + 1 < units.length; ++unit) bytes /= 1024;
    return `${Math.round(bytes * 10) / 10} ${units[unit]}`;
  }

  // "rank 3", "ranks 0-3, 8"; at most `limit` runs.
  function ranksText(ranks, limit = 8) {
    const runs = [];
    for (const rank of ranks) {
      const last = runs[runs.length - 1];
      if (last && last[1] + 1 === rank) last[1] = rank;
      else runs.push([rank, rank]);
    }
    const texts = runs.slice(0, limit).map(([a, b]) =>
      a === b ? `${a}` : b === a + 1 ? `${a}, ${b}` : `${a}\u2013${b}`);
    if (runs.length > limit) texts.push("\u2026");
    return `${ranks.length === 1 ? "rank" : "ranks"} ${texts.join(", ")}`;
  }

  // ------------------------------------------------------------------------------- layouts, forms

  // Cells of a grid in C order, and back.
  function cellOf(layout, shard) {
    const cell = [];
    for (let d = layout.grid.length; d-- > 0;) {
      cell[d] = shard % layout.grid[d];
      shard = Math.floor(shard / layout.grid[d]);
    }
    return cell;
  }
  const shardOf = (layout, cell) => cell.reduce((index, x, d) => index * layout.grid[d] + x, 0);

  // Where piece `index` of dim d begins, when the dim is `length` long.
  function pieceBegin(layout, d, index, length) {
    if (d > 0 || !layout.rows) return (index * length) / layout.grid[d];
    return layout.rows.slice(0, index).reduce((a, b) => a + b, 0);
  }

  // All lists of one number out of each half-open range.
  function* product2(ranges, prefix = []) {
    if (prefix.length === ranges.length) {
      yield prefix;
      return;
    }
    const [begin, end] = ranges[prefix.length];
    for (let i = begin; i < end; ++i) yield* product2(ranges, [...prefix, i]);
  }

  // The ranks that hold each shard of a placement [stage, layout], ascending.
  const holdersCache = new Map();
  function holdersOf(side, [stage, number]) {
    const key = `${side}/${stage}/${number}`;
    let holders = holdersCache.get(key);
    if (!holders) {
      const layout = data.layouts[number];
      holders = layout.colors.map(() => []);
      const first = data.sides[side].stages[stage][1];
      layout.shards.forEach((shard, rank) => holders[shard].push(first + rank));
      holdersCache.set(key, holders);
    }
    return holders;
  }

  // The lengths to reckon with: the tensor's, or a stand-in that all its layouts divide.
  function lengthsOf(form, tensor) {
    const layouts = form.sides.flat().map(([, number]) => data.layouts[number]);
    if (tensor) {
      const problem = layouts.flatMap((layout) => problemsOf(layout, tensor.shape))[0];
      if (!problem) return { lengths: tensor.shape, real: true, problem: null };
      return { ...standIn(layouts), problem };
    }
    return { ...standIn(layouts), problem: null };
  }

  function standIn(layouts) {
    const lengths = layouts[0].grid.map((_, d) =>
      layouts.reduce((length, layout) => lcm(length, layout.grid[d] || 1), 1));
    const uneven = layouts.find((layout) => layout.rows);
    if (uneven) lengths[0] = uneven.rows.reduce((a, b) => a + b, 0);
    return { lengths, real: false };
  }

  function problemsOf(layout, shape) {
    const problems = [];
    layout.grid.forEach((pieces, d) => {
      const rows = d === 0 && layout.rows ? layout.rows.reduce((a, b) => a + b, 0) : null;
      if (rows !== null && rows !== shape[d]) {
        problems.push(`${layout.text}: its rows are ${rows}, but the tensor has ${shape[d]}.`);
      }
      if (rows === null && shape[d] % pieces !== 0) {
        problems.push(`${layout.text}: dim ${d} = ${shape[d]} is not divisible by ${pieces}.`);
      }
    });
    return problems;
  }

  // "rows 0:196", "rows 2/8 to 3/8", "all columns".
  function rangeText(layout, d, [begin, end], { lengths, real }) {
    const name = layout.dims[d];
    if (begin === 0 && end === lengths[d]) return name.startsWith("dim") ? `all of ${name}` : `all ${name}`;
    if (real || layout.rows) return `${name} ${begin}:${end}`;
    const by = gcd(gcd(begin, end), lengths[d]) || 1;
    return `${name} ${begin / by}/${lengths[d] / by} to ${end / by}/${lengths[d] / by}`;
  }

  function boxOf(layout, shard, { lengths }) {
    return cellOf(layout, shard).map((x, d) =>
      [pieceBegin(layout, d, x, lengths[d]), pieceBegin(layout, d, x + 1, lengths[d])]);
  }

  function boxText(layout, box, scale) {
    if (box.length === 0) return "its single value";
    return box.map((range, d) => rangeText(layout, d, range, scale)).join(", ");
  }

  // The source shards that shard `shard` of target place `place` is put together from.
  function readsOf(form, place, shard) {
    const target = data.layouts[form.sides[1][place][1]];
    const source = data.layouts[form.sides[0][0][1]];
    const ranges = cellOf(target, shard).map((x, d) => form.reads[place][d][x]);
    return [...product2(ranges)].map((cell) => shardOf(source, cell));
  }

  // The shards of target place `place` that a source shard goes into.
  function goesTo(form, place, shard) {
    const target = data.layouts[form.sides[1][place][1]];
    const cell = cellOf(data.layouts[form.sides[0][0][1]], shard);
    const lists = cell.map((x, d) => form.reads[place][d]
      .flatMap(([begin, end], piece) => (begin <= x && x < end ? [piece] : [])));
    const ranges = lists.map((list) => (list.length ? [list[0], list[list.length - 1] + 1] : [0, 0]));
    return [...product2(ranges)].map((cells) => shardOf(target, cells));
  }

  const hasCopies = (form) => compares && Boolean(form.reads);

  // ------------------------------------------------------------------------------ the device grid

  function cellSize(devices) {
    if (devices <= 64) return { w: 44, h: 38, gap: 4 };
    if (devices <= 256) return { w: 34, h: 24, gap: 3 };
    if (devices <= 1024) return { w: 22, h: 15, gap: 2 };
    return { w: 11, h: 9, gap: 1 };
  }

  // Where the i-th cell of an edge begins: groups of outer axes stand apart.
  function placeAlong(i, cell, gap, bands) {
    let at = i * (cell + gap);
    for (let band = 0; band + 1 < bands.length; ++band) at += 2 * gap * Math.floor(i / bands[band][0]);
    return at;
  }

  const labelWidth = ([, labels]) => Math.max(...labels.map((label) => label.length)) * 6.8 + 9;

  function deviceGrid(side, place, [stage, number], first) {
    const layout = data.layouts[number];
    const devices = layout.shards.length;
    const { w, h, gap } = cellSize(devices);
    const rows = Math.ceil(devices / layout.columns);
    const left = layout.down.reduce((sum, band) => sum + labelWidth(band), 0);
    const top = layout.across.length * 16;
    const x = (i) => left + placeAlong(i, w, gap, layout.across);
    const y = (i) => top + placeAlong(i, h, gap, layout.down);
    const width = Math.ceil(x(layout.columns - 1) + w + 1);
    const height = Math.ceil(y(rows - 1) + h + 1);
    const picture = svg("svg", {
      viewBox: `-1 -1 ${width + 1} ${height + 1}`, width: width + 1, height: height + 1, role: "group",
      "aria-label": `${data.sides[side].role}: ${count(devices, "device")}. Arrow keys go from one to the next.`,
      "data-columns": layout.columns,
    });
    bandLabels(picture, layout.across, layout.columns, (band, i) => {
      const begin = x(i * band[0]);
      const end = x((i + 1) * band[0] - 1) + w;
      return { x: (begin + end) / 2, y: 16 * (layout.across.indexOf(band) + 1) - 6, room: end - begin + gap };
    });
    let edge = 0;
    const edges = layout.down.map((band) => (edge += labelWidth(band)));
    bandLabels(picture, layout.down, rows, (band, i) => {
      const begin = y(i * band[0]);
      const end = y((i + 1) * band[0] - 1) + h;
      const right = edges[layout.down.indexOf(band)] - 7;
      return { x: right, y: (begin + end) / 2 + 4, anchor: "end", room: end - begin < 11 ? 0 : Infinity };
    });
    const holders = holdersOf(side, [stage, number]);
    layout.shards.forEach((shard, device) => {
      const rank = first + device;
      picture.append(deviceCell(side, place, rank, shard, layout, holders[shard],
        { x: x(device % layout.columns), y: y(Math.floor(device / layout.columns)), w, h }, device === 0));
    });
    return picture;
  }

  function bandLabels(picture, bands, length, placeOf) {
    for (const band of bands) {
      const [size, labels] = band;
      for (let i = 0; i * size < length; ++i) {
        const at = placeOf(band, i);
        const label = labels[i % labels.length];
        if (label.length * 6.2 > at.room) continue;
        picture.append(svg("text", { class: "axis", x: at.x, y: at.y, "text-anchor": at.anchor || "middle" }, label));
      }
    }
  }

  function deviceCell(side, place, rank, shard, layout, holders, { x, y, w, h }, isFirst) {
    const others = holders.filter((other) => other !== rank);
    const also = others.length ? `, also on ${ranksText(others)}` : "";
    const cell = svg("g", {
      class: "device", role: "button", tabindex: isFirst ? 0 : -1, "aria-pressed": "false",
      "aria-label": `Rank ${rank}: shard ${shard}${also}`,
      "data-side": side, "data-place": place, "data-shard": shard, "data-rank": rank,
    }, svg("rect", { x, y, width: w, height: h, rx: Math.min(5, h / 5), fill: layout.colors[shard] }));
    const middle = { x: x + w / 2, "text-anchor": "middle" };
    const rankSize = h >= 30 ? 14 : 11;
    if (h >= 15 && String(rank).length * rankSize * 0.6 <= w) {
      cell.append(svg("text", { class: "ink rank", ...middle, y: y + (h >= 30 ? 17 : h / 2 + 4), "font-size": rankSize }, rank));
    }
    if (h >= 30) {
      cell.append(svg("text", { class: "ink", ...middle, y: y + 31, "font-size": 11 }, `#${shard}`));
    }
    return cell;
  }

  // ----------------------------------------------------------------------------------- the tensor

  // Width and height of the picture: the shape's proportions, within reason.
  function tensorSize([down, across], { lengths, real }, side) {
    if (down === null) return across === null ? [90, 60] : [side, 54];
    const ratio = real ? Math.min(2.6, Math.max(0.38, lengths[down] / lengths[across])) : 0.75;
    return [side * Math.min(1, 1 / ratio), side * Math.min(1, ratio)];
  }

  // A picture of the tensor from above; `pieces` are {box, fill, label, attributes}.
  function tensorPicture(layout, view, scale, pieces, lines, side = 260) {
    const [down, across] = view;
    const [width, height] = tensorSize(view, scale, side);
    const left = down === null ? 0 : 20;
    const top = across === null ? 0 : 18;
    const along = (d, x, size) => (d === null || scale.lengths[d] === 0 ? 0 : (x / scale.lengths[d]) * size);
    const lengthText = (d) => layout.dims[d] + (scale.real || (d === 0 && layout.rows) ? `: ${scale.lengths[d]}` : "");
    const picture = svg("svg", {
      viewBox: `-1 -1 ${width + left + 2} ${height + top + 2}`, width: width + left + 2, height: height + top + 2,
      role: "img", "aria-label": "The tensor and its pieces; the table below says the same.",
    });
    if (across !== null) picture.append(svg("text", { class: "axis", x: left, y: 11 }, lengthText(across)));
    if (down !== null) {
      picture.append(svg("text", {
        class: "axis", "text-anchor": "middle", transform: `translate(11 ${top + height / 2}) rotate(-90)`,
      }, lengthText(down)));
    }
    for (const { box, fill, label, attributes } of pieces) {
      const x0 = across === null ? 0 : along(across, box[across][0], width);
      const x1 = across === null ? width : along(across, box[across][1], width);
      const y0 = down === null ? 0 : along(down, box[down][0], height);
      const y1 = down === null ? height : along(down, box[down][1], height);
      const thin = Math.min(x1 - x0, y1 - y0) < 6;
      const piece = svg("g", { class: "piece", ...attributes },
        svg("rect", { x: left + x0, y: top + y0, width: x1 - x0, height: y1 - y0, fill, "stroke-width": thin ? 0.4 : 1 }));
      if (y1 - y0 >= 13 && label.length * 6.4 + 4 <= x1 - x0) {
        piece.append(svg("text", {
          class: "ink", "text-anchor": "middle", "font-size": 11, x: left + (x0 + x1) / 2, y: top + (y0 + y1) / 2 + 4,
        }, label));
      }
      picture.append(piece);
    }
    for (const { d, at, style } of lines) {
      const path = d === across
        ? `M${left + along(d, at, width)} ${top}V${top + height}`
        : `M${left} ${top + along(d, at, height)}H${left + width}`;
      if (d === across || d === down) picture.append(svg("path", { d: path, ...style }));
    }
    return picture;
  }

  // The shards of one layout that the view shows: those in `slab` of the hidden dims.
  function shownShards(layout, hidden, slab) {
    const ranges = layout.grid.map((pieces, d) => (hidden.includes(d) ? [slab[d], slab[d] + 1] : [0, pieces]));
    return [...product2(ranges)].map((cell) => shardOf(layout, cell));
  }

  function shardMap(side, place, number, scale, slab) {
    const layout = data.layouts[number];
    const pieces = shownShards(layout, layout.view[2], slab).map((shard) => ({
      box: boxOf(layout, shard, scale), fill: layout.colors[shard], label: `#${shard}`,
      attributes: { "data-side": side, "data-place": place, "data-shard": shard },
    }));
    const lines = [];
    const gap = Math.max(1, Math.min(4, 90 / (layout.grid[0] || 1)));
    // Where the mesh cuts dim 0 and not the optimizer alone.
    for (let i = layout.parts; layout.parts > 1 && i < layout.grid[0]; i += layout.parts) {
      lines.push({ d: 0, at: pieceBegin(layout, 0, i, scale.lengths[0]), style: { class: "cut", "stroke-width": gap } });
    }
    return tensorPicture(layout, layout.view, scale, pieces, lines);
  }

  function slabText(layout, hidden, slab) {
    if (!hidden.length) return "";
    const parts = hidden.map((d) => `piece ${slab[d]} of ${layout.dims[d]}`);
    return ` (drawn: ${parts.join(", ")})`;
  }

  // The tensor in the source's colours with the target's cuts over it. A part says which rank it is
  // read from and which ranks store it. Of dims that are hidden the first piece is drawn.
  function copiesMap(form, scale) {
    const source = data.layouts[form.sides[0][0][1]];
    const [down, across, hidden] = form.view;
    const pieces = [];
    const lines = [];
    form.sides[1].forEach((placement, place) => {
      const target = data.layouts[placement[1]];
      const holders = holdersOf(1, placement);
      const zeros = target.grid.map(() => 0);
      for (const shard of place === 0 ? shownShards(target, hidden, zeros) : []) {
        for (const from of readsOf(form, place, shard)) {
          const box = overlap(boxOf(source, from, scale), boxOf(target, shard, scale));
          if (hidden.some((d) => box[d][0] > 0) || pieces.length >= kMaxRibbons) continue;
          pieces.push({
            box, fill: source.colors[from], label: `${form.chosen[from]} \u2192 ${shortRanks(holders[shard])}`,
            attributes: { "data-from": from, "data-to-place": place, "data-to": shard },
          });
        }
      }
      for (const d of [down, across]) {
        for (let i = 0; d !== null && i <= target.grid[d]; ++i) {
          lines.push({ d, at: pieceBegin(target, d, i, scale.lengths[d]), style: { class: "target-cut", "stroke-width": target.grid[d] > 12 ? 1 : 2.5 } });
        }
      }
    });
    return tensorPicture(source, form.view, scale, pieces, lines, 260);
  }

  // "0-3", "0,4", "0+7" for rank 0 and 7 more.
  function shortRanks(ranks) {
    const text = ranksText(ranks).replace(/^ranks? /, "").replace(/, /g, ",");
    return text.length <= 9 ? text : `${ranks[0]}+${ranks.length - 1}`;
  }

  // ----------------------------------------------------------------------------------- the copies

  const kMaxChips = 128;
  const kMaxRibbons = 4096;

  // Source shards at the left, target shards at the right, a ribbon for each copy, as broad as its
  // part of the shard.
  function ribbons(form, scale) {
    const source = data.layouts[form.sides[0][0][1]];
    const right = [];
    form.sides[1].forEach(([, number], place) => {
      data.layouts[number].colors.forEach((_, shard) => right.push({ place, shard }));
    });
    if (source.colors.length > kMaxChips || right.length > kMaxChips) return null;
    const leftHolders = holdersOf(0, form.sides[0][0]);
    const rows = Math.max(source.colors.length, right.length);
    const step = Math.min(40, Math.max(17, 560 / rows));
    const gap = step > 24 ? 5 : 3;
    const height = rows * step;
    const chip = { w: 176, gap: 190 };
    const leftStep = height / source.colors.length;
    const rightStep = height / right.length;
    const picture = svg("svg", {
      viewBox: `-2 -2 ${2 * chip.w + chip.gap + 4} ${height + 4}`, width: 2 * chip.w + chip.gap + 4, height: height + 4,
      role: "img", "aria-label": "Copies from source shards to target shards; the table below lists them.",
    });
    const used = source.colors.map(() => 0);
    const shareOf = (layout, shard, box) => {
      const whole = product(boxOf(layout, shard, scale).map(([a, b]) => b - a));
      return whole ? product(box.map(([a, b]) => b - a)) / whole : 0;
    };
    let drawn = 0;
    right.forEach(({ place, shard }, row) => {
      const target = data.layouts[form.sides[1][place][1]];
      const reads = readsOf(form, place, shard);
      let filled = 0;
      for (const from of reads) {
        if (++drawn > kMaxRibbons) return;
        const box = overlap(boxOf(source, from, scale), boxOf(target, shard, scale));
        const a = { y: from * leftStep + gap / 2 + used[from] * (leftStep - gap), h: shareOf(source, from, box) };
        const b = { y: row * rightStep + gap / 2 + filled * (rightStep - gap), h: shareOf(target, shard, box) };
        // What goes to several stages leaves the same place.
        if (place === 0) used[from] += a.h;
        filled += b.h;
        const ribbon = ribbonPath(chip.w, chip.w + chip.gap, a.y, a.h * (leftStep - gap), b.y, b.h * (rightStep - gap));
        picture.append(svg("path", {
          class: "ribbon", d: ribbon, fill: source.colors[from],
          "data-from": from, "data-to-place": place, "data-to": shard,
        }));
      }
    });
    source.colors.forEach((color, shard) => {
      const others = leftHolders[shard].filter((rank) => rank !== form.chosen[shard]);
      const text = form.chosen[shard] < 0 ? "not read" : `rank ${form.chosen[shard]}`;
      const more = others.length && form.chosen[shard] >= 0 ? ` or ${ranksText(others, 2).replace(/^ranks? /, "")}` : "";
      picture.append(chipOf(0, 0, shard, color, text + more, { x: 0, y: shard * leftStep + gap / 2, w: chip.w, h: leftStep - gap }));
    });
    right.forEach(({ place, shard }, row) => {
      const target = data.layouts[form.sides[1][place][1]];
      const text = ranksText(holdersOf(1, form.sides[1][place])[shard], 3);
      picture.append(chipOf(1, place, shard, target.colors[shard], text,
        { x: chip.w + chip.gap, y: row * rightStep + gap / 2, w: chip.w, h: rightStep - gap }));
    });
    return picture;
  }

  function overlap(a, b) {
    return a.map(([begin, end], d) => [Math.max(begin, b[d][0]), Math.min(end, b[d][1])]);
  }

  function ribbonPath(x0, x1, y0, h0, y1, h1) {
    const middle = (x0 + x1) / 2;
    const n = (value) => Math.round(value * 100) / 100;
    return `M${x0} ${n(y0)}C${middle} ${n(y0)} ${middle} ${n(y1)} ${x1} ${n(y1)}V${n(y1 + h1)}` +
      `C${middle} ${n(y1 + h1)} ${middle} ${n(y0 + h0)} ${x0} ${n(y0 + h0)}Z`;
  }

  function chipOf(side, place, shard, color, text, { x, y, w, h }) {
    const size = Math.min(12, h - 2);
    const middle = y + h / 2 + size * 0.36;
    return svg("g", { "data-side": side, "data-place": place, "data-shard": shard },
      svg("rect", { x, y, width: w, height: h, rx: Math.min(5, h / 4), fill: color }),
      svg("text", { class: "ink rank", x: x + 8, y: middle, "font-size": size }, `#${shard}`),
      svg("text", { class: "ink", x: x + 46, y: middle, "font-size": size }, text));
  }

  // --------------------------------------------------------------------------------------- tables

  const kMaxTableRows = 2000;

  // A table that is built when it is opened. `rows` yields lists of cells.
  function lazyTable(title, head, rows) {
    const details = html("details", {}, html("summary", {}, title));
    details.addEventListener("toggle", () => {
      if (!details.open || details.querySelector("table")) return;
      const body = html("tbody");
      let made = 0;
      for (const row of rows()) {
        if (++made > kMaxTableRows) break;
        body.append(html("tr", {}, ...row.map((cell) => html("td", {}, cell))));
      }
      const heads = head.map((text) => html("th", { scope: "col" }, text));
      const table = html("table", {}, html("thead", {}, html("tr", {}, ...heads)), body);
      details.append(html("div", { class: "table" }, table));
      if (made > kMaxTableRows) details.append(html("p", { class: "facts" }, `The first ${kMaxTableRows} rows.`));
    });
    return details;
  }

  function dotted(color, text) {
    const dot = html("span", { class: "dot" });
    dot.style.background = color;
    return html("span", {}, dot, text);
  }

  function shardTable(side, placement, scale) {
    const layout = data.layouts[placement[1]];
    return lazyTable("The shards as a table", ["shard", "what it is", "on"], function* () {
      const holders = holdersOf(side, placement);
      for (let shard = 0; shard < layout.colors.length; ++shard) {
        yield [dotted(layout.colors[shard], `#${shard}`), boxText(layout, boxOf(layout, shard, scale), scale),
          ranksText(holders[shard])];
      }
    });
  }

  function copyTable(form, scale) {
    const source = data.layouts[form.sides[0][0][1]];
    return lazyTable("The copies as a table", ["target shard", "on", "is made of", "read from"], function* () {
      for (let place = 0; place < form.sides[1].length; ++place) {
        const target = data.layouts[form.sides[1][place][1]];
        const holders = holdersOf(1, form.sides[1][place]);
        for (let shard = 0; shard < target.colors.length; ++shard) {
          for (const from of readsOf(form, place, shard)) {
            const box = overlap(boxOf(source, from, scale), boxOf(target, shard, scale));
            yield [dotted(target.colors[shard], `#${shard}`), ranksText(holders[shard]),
              boxText(source, box, scale), dotted(source.colors[from], `#${from} of rank ${form.chosen[from]}`)];
          }
        }
      }
    });
  }

  // ------------------------------------------------------------------------------- one parameter

  let shown = null; // {index, form, scale, slabs}
  let chosen = null; // What was clicked.

  function figure(className, caption, picture) {
    return html("figure", { class: className }, html("h4", {}, caption), picture);
  }

  function stagePills(side, placements) {
    const { stages } = data.sides[side];
    if (stages.length === 1) return null;
    const holds = new Set(placements.map(([stage]) => stage));
    const pills = stages.slice(0, 24).map(([stage, first, ranks], i) =>
      html("span", { class: holds.has(i) ? "holds" : null },
        `stage ${stage}, ranks ${first}\u2013${first + ranks - 1}: ${holds.has(i) ? "holds it" : "does not"}`));
    if (stages.length > 24) pills.push(html("span", {}, `and ${stages.length - 24} more stages`));
    return html("div", { class: "stages" }, ...pills);
  }

  function placeView(side, place, placement, scale) {
    const [stage, number] = placement;
    const layout = data.layouts[number];
    const [stageNumber, first, ranks] = data.sides[side].stages[stage];
    const where = data.sides[side].stages.length > 1 ? ` of stage ${stageNumber}` : "";
    const devices = `Devices${where}: ${ranks === 1 ? `rank ${first}` : `ranks ${first}\u2013${first + ranks - 1}`}`;
    const tensor = layout.colors.length === 1 ? "The tensor, whole" : `The tensor, cut in ${layout.colors.length}`;
    const slab = layout.grid.map(() => 0);
    const map = figure("map", tensor + slabText(layout, layout.view[2], slab), shardMap(side, place, number, scale, slab));
    shown.slabs.push({ side, place, number, map, slab });
    return html("div", { class: "place" },
      html("p", { class: "notation" }, html("code", {}, layout.text)),
      html("ul", { class: "words" }, ...layout.words.map((sentence) => html("li", {}, sentence))),
      html("div", { class: "figures" }, figure("grid", devices, deviceGrid(side, place, placement, first)), map),
      shardTable(side, placement, scale));
  }

  function sideView(side, form, scale) {
    const placements = form.sides[side];
    const card = html("section", { class: "card" },
      html("h3", {}, compares ? data.sides[side].role : "Layout"));
    if (!placements.length) {
      card.append(html("p", { class: "facts" },
        `${visible(data.sides[side].file)} does not know this parameter.`));
      return card;
    }
    const pills = stagePills(side, placements);
    if (pills) card.append(pills);
    placements.forEach((placement, place) => card.append(placeView(side, place, placement, scale)));
    return card;
  }

  function copiesView(form, scale) {
    const card = html("section", { class: "card" }, html("h3", {}, "Copies"));
    if (!hasCopies(form)) {
      card.append(html("p", { class: "facts" }, form.note || ""));
      return card;
    }
    const source = data.layouts[form.sides[0][0][1]];
    const same = form.sides[0].length === 1 && form.sides[1].length === 1 && form.sides[0][0][1] === form.sides[1][0][1];
    card.append(html("p", {}, same ? "Both sides are cut alike: every shard is copied as it is." : copiesWords(form)));
    if (source.copies > 1) {
      card.append(html("p", { class: "facts" },
        "Of the ranks that hold the same, the lowest is drawn; a conversion reads from those that have least to do."));
    }
    const figures = html("div", { class: "figures" });
    const flow = ribbons(form, scale);
    figures.append(figure("copies", flow ? "Source shards at the left, target shards at the right"
      : "Too many shards for one picture: the table lists the copies", flow || ""));
    const hidden = form.view[2];
    const drawn = hidden.length ? ` (drawn: the first piece of ${hidden.map((d) => source.dims[d]).join(", ")})` : "";
    figures.append(figure("map", `The tensor: source in colours, target in dark lines${drawn}`, copiesMap(form, scale)));
    card.append(figures, copyTable(form, scale));
    return card;
  }

  function copiesWords(form) {
    const source = data.layouts[form.sides[0][0][1]];
    const parts = [];
    form.sides[1].forEach(([, number], place) => {
      const target = data.layouts[number];
      const shards = Math.min(target.colors.length, 512);
      const counts = [];
      for (let shard = 0; shard < shards; ++shard) counts.push(readsOf(form, place, shard).length);
      const least = Math.min(...counts);
      const most = Math.max(...counts);
      const made = most === 1 ? "is a part of one source shard"
        : `is put together from ${least === most ? most : `${least} to ${most}`} source shards`;
      parts.push(`${count(source.colors.length, "source shard")} to ${count(target.colors.length, "target shard")}; ` +
        (target.colors.length === 1 ? `it ${made}.` : `each ${made}.`));
    });
    if (form.sides[0].length > 1) {
      const [stage] = data.sides[0].stages[form.sides[0][0][0]];
      parts.push(`All stages hold the same; stage ${stage} is read.`);
    }
    return parts.join(" ");
  }

  function legend(form) {
    const layouts = form.sides.flat().map(([, number]) => data.layouts[number]);
    const sample = svg("svg", { width: 44, height: 38, viewBox: "0 0 44 38", "aria-hidden": "true" },
      svg("rect", { width: 44, height: 38, rx: 5, fill: "#c9d3df" }),
      svg("text", { class: "ink rank", x: 22, y: 17, "text-anchor": "middle", "font-size": 14 }, "5"),
      svg("text", { class: "ink", x: 22, y: 31, "text-anchor": "middle", "font-size": 11 }, "#3"));
    const items = [
      html("span", {}, sample, "a device: its rank, and # the shard (the piece of the tensor) that it holds"),
      html("span", {}, "Same colour and same # within a picture: the same content."),
    ];
    if (layouts.some((layout) => layout.parts > 1)) {
      const shades = html("span", { class: "shades" });
      shades.style.background = "linear-gradient(to right, #cfe6ff, #4a96e8)";
      items.push(html("span", {}, shades, "shades of a colour: parts made by the optimizer split"));
    }
    if (hasCopies(form)) items.push(html("span", {}, html("span", { class: "line" }), "where target shards begin; 3 \u2192 0,2: read from rank 3, stored by 0 and 2"));
    return html("div", { class: "legend", role: "note", "aria-label": "Legend" }, ...items);
  }

  function tensorFacts(tensor, form) {
    if (!tensor) return "Shape: not stated; drawn by fractions.";
    const shape = `[${tensor.shape.join(",")}]`;
    if (!tensor.item_bytes) return `Shape ${shape}`;
    const bytes = product(tensor.shape) * tensor.item_bytes;
    const each = form.sides.map((placements) => (placements.length ? bytes / data.layouts[placements[0][1]].colors.length : null));
    const texts = each.flatMap((n, side) => (n === null ? [] :
      [`${bytesText(n)} on each ${compares ? `${data.sides[side].role.toLowerCase()} ` : ""}device`]));
    return `${tensor.type}${shape}, ${bytesText(bytes)}: ${texts.join(", ")}`;
  }

  function show(index) {
    const form = data.forms[data.form[index]];
    const tensor = data.tensor[index] < 0 ? null : data.tensors[data.tensor[index]];
    const scale = lengthsOf(form, tensor);
    shown = { index, form, scale, slabs: [] };
    chosen = null;
    const parts = [
      html("h2", { class: "name" }, visible(data.names[index])),
      html("p", { class: "facts" }, tensorFacts(tensor, form)),
      scale.problem ? html("p", { class: "note" }, `This shape and this layout do not fit. ${scale.problem}`) : null,
      legend(form),
      html("div", { class: compares ? "sides two" : "sides" }, ...form.sides.map((_, side) => sideView(side, form, scale))),
      compares ? copiesView(form, scale) : null,
    ];
    const tensorNode = byId("tensor");
    tensorNode.replaceChildren(...parts.filter((part) => part !== null));
    tensorNode.scrollTop = 0;
    indexMarks();
    mark(null);
    try {
      history.replaceState(null, "", `#${encodeURIComponent(data.names[index])}`);
    } catch (error) {
      // Some viewers show the page from where it has no address.
    }
  }

  // ------------------------------------------------------------------- what belongs to each other

  let marksOf = new Map(); // "side/place/shard" -> elements
  let ribbonsOf = new Map(); // "from" or "place/to" -> elements
  let marked = [];

  function push(map, key, value) {
    const list = map.get(key);
    if (list) list.push(value);
    else map.set(key, [value]);
  }

  function indexMarks() {
    marksOf = new Map();
    ribbonsOf = new Map();
    marked = [];
    for (const node of byId("tensor").querySelectorAll("[data-shard]")) {
      push(marksOf, `${node.dataset.side}/${node.dataset.place}/${node.dataset.shard}`, node);
    }
    for (const node of byId("tensor").querySelectorAll("[data-from]")) {
      push(ribbonsOf, `s${node.dataset.from}`, node);
      push(ribbonsOf, `t${node.dataset.toPlace}/${node.dataset.to}`, node);
    }
  }

  function setClass(nodes, name) {
    for (const node of nodes || []) {
      node.classList.add(name);
      marked.push(node);
    }
  }

  // Lights up what belongs to `what` ({side, place, shard, rank}), or nothing, and says it.
  function mark(what) {
    for (const node of marked) node.classList.remove("on", "linked", "also", "self");
    marked = [];
    byId("tensor").classList.toggle("choosing", what !== null);
    tell(what);
    if (!what) return;
    showSlab(what);
    const { form } = shown;
    const nodes = marksOf.get(`${what.side}/${what.place}/${what.shard}`);
    setClass(nodes, "on");
    setClass((nodes || []).filter((node) => what.rank !== null && Number(node.dataset.rank) === what.rank), "self");
    if (!hasCopies(form)) return;
    if (what.side === 1) {
      for (const from of readsOf(form, what.place, what.shard)) {
        const holders = marksOf.get(`0/0/${from}`) || [];
        const isRead = (node) => !node.dataset.rank || Number(node.dataset.rank) === form.chosen[from];
        setClass(holders.filter(isRead), "linked");
        setClass(holders.filter((node) => !isRead(node)), "also");
      }
      setClass(ribbonsOf.get(`t${what.place}/${what.shard}`), "on");
    } else if (what.place === 0) {
      form.sides[1].forEach((_, place) => {
        for (const to of goesTo(form, place, what.shard)) setClass(marksOf.get(`1/${place}/${to}`), "linked");
      });
      setClass(ribbonsOf.get(`s${what.shard}`), "on");
    }
  }

  // A tensor cut in more than two dims is drawn in slabs: the one with the shard.
  function showSlab(what) {
    for (const entry of shown.slabs) {
      const layout = data.layouts[entry.number];
      const hidden = layout.view[2];
      if (!hidden.length || entry.side !== what.side || entry.place !== what.place) continue;
      const cell = cellOf(layout, what.shard);
      if (hidden.every((d) => cell[d] === entry.slab[d])) continue;
      entry.slab = cell;
      const map = figure("map", `The tensor, cut in ${layout.colors.length}${slabText(layout, hidden, cell)}`,
        shardMap(entry.side, entry.place, entry.number, shown.scale, cell));
      entry.map.replaceWith(map);
      entry.map = map;
      indexMarks();
    }
  }

  function tell(what) {
    const told = byId("told");
    if (!what) {
      told.replaceChildren(html("span", { class: "hint" },
        `Point at a device or a shard to see what it holds and where else that is${compares ? ", and what is copied" : ""}. ` +
        "A click keeps it, Escape lets go."));
      return;
    }
    const { form, scale } = shown;
    const placement = form.sides[what.side][what.place];
    const layout = data.layouts[placement[1]];
    const holders = holdersOf(what.side, placement)[what.shard];
    const side = compares ? `${data.sides[what.side].role} ` : "";
    const box = boxText(layout, boxOf(layout, what.shard, scale), scale);
    const who = what.rank === null ? `${side}shard #${what.shard}` : `${side}rank ${what.rank} holds shard #${what.shard}`;
    const others = holders.filter((rank) => rank !== what.rank);
    const where = what.rank === null ? `It is on ${ranksText(holders)}.`
      : others.length ? `The same is on ${ranksText(others)}.` : "No other device has it.";
    told.replaceChildren(html("b", {}, who[0].toUpperCase() + who.slice(1)), `: ${box}. ${where}${copyText(form, what)}`);
  }

  function copyText(form, what) {
    if (!hasCopies(form)) return "";
    if (what.side === 1) {
      const ranks = readsOf(form, what.place, what.shard).map((shard) => form.chosen[shard]);
      return ` It is read from ${ranksText([...new Set(ranks)].sort((a, b) => a - b))} of the source.`;
    }
    if (what.place !== 0) return " Another stage is read.";
    const ranks = new Set();
    form.sides[1].forEach((placement, place) => {
      const holders = holdersOf(1, placement);
      for (const to of goesTo(form, place, what.shard)) for (const rank of holders[to]) ranks.add(rank);
    });
    return ` It goes to ${ranksText([...ranks].sort((a, b) => a - b))} of the target.`;
  }

  function whatIs(node) {
    const element = node instanceof Element ? node.closest("[data-shard]") : null;
    if (!element) return null;
    const { side, place, shard, rank } = element.dataset;
    return { side: Number(side), place: Number(place), shard: Number(shard), rank: rank === undefined ? null : Number(rank) };
  }
  const isSame = (a, b) => a && b && JSON.stringify(a) === JSON.stringify(b);

  function choose(what) {
    chosen = isSame(what, chosen) ? null : what;
    for (const node of byId("tensor").querySelectorAll(".device[aria-pressed=true]")) node.setAttribute("aria-pressed", "false");
    mark(chosen);
    for (const node of byId("tensor").querySelectorAll(".device.self")) node.setAttribute("aria-pressed", "true");
  }

  function moveFocus(device, key) {
    const grid = device.closest("svg");
    const devices = [...grid.querySelectorAll(".device")];
    const columns = Number(grid.dataset.columns);
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
    const next = devices[devices.indexOf(device) + step];
    if (!next) return;
    device.setAttribute("tabindex", -1);
    next.setAttribute("tabindex", 0);
    next.focus();
  }

  function listenToTensor() {
    const tensor = byId("tensor");
    tensor.addEventListener("pointerover", (event) => mark(whatIs(event.target) || chosen));
    tensor.addEventListener("pointerleave", () => mark(chosen));
    tensor.addEventListener("focusin", (event) => { if (event.target.matches(".device:focus-visible")) mark(whatIs(event.target)); });
    tensor.addEventListener("focusout", () => mark(chosen));
    tensor.addEventListener("click", (event) => { if (!event.target.closest("details")) choose(whatIs(event.target)); });
    tensor.addEventListener("keydown", (event) => {
      const device = event.target.closest(".device");
      if (!device) return;
      if (event.key.startsWith("Arrow")) moveFocus(device, event.key);
      else if (event.key === "Enter" || event.key === " ") choose(whatIs(device));
      else return;
      event.preventDefault();
    });
  }

  // --------------------------------------------------------------------------- the list of names

  const kRowHeight = 48;
  let matches = []; // Indices of parameters.
  let words = [];
  let lowered = null;

  function strip(placements) {
    const node = html("span", { class: placements.length ? "strip" : "strip none", "aria-hidden": "true" });
    if (!placements.length) return node;
    const { colors } = data.layouts[placements[0][1]];
    const n = Math.min(colors.length, 24);
    const stops = [];
    for (let i = 0; i < n; ++i) {
      const color = colors[Math.floor((i * colors.length) / n)];
      stops.push(`${color} ${(100 * i) / n}% ${(100 * (i + 1)) / n}%`);
    }
    node.style.background = `linear-gradient(to right, ${stops.join(",")})`;
    return node;
  }

  // The name with what was searched for in marks.
  function markedName(name) {
    const node = html("bdi", { dir: "ltr" });
    const lower = name.toLowerCase();
    let at = 0;
    while (words.length && lower.length === name.length) {
      let begin = -1;
      let end = -1;
      for (const word of words) {
        const found = lower.indexOf(word, at);
        if (found >= 0 && (begin < 0 || found < begin)) [begin, end] = [found, found + word.length];
      }
      if (begin < 0) break;
      node.append(name.slice(at, begin), html("mark", {}, name.slice(begin, end)));
      at = end;
    }
    node.append(name.slice(at));
    return html("span", { class: "name", title: name }, node);
  }

  function rowOf(position) {
    const index = matches[position];
    const form = data.forms[data.form[index]];
    const lies = html("span", { class: "lies" });
    form.sides.forEach((placements, side) => {
      if (side === 1) lies.append("\u2192");
      lies.append(strip(placements));
      const text = placements.length ? data.layouts[placements[0][1]].text : "";
      if (!compares) lies.append(html("code", {}, text));
    });
    const row = html("div", {
      class: "row", role: "option", id: `row-${position}`, "aria-selected": String(shown !== null && shown.index === index),
      "aria-posinset": position + 1, "aria-setsize": matches.length, "data-position": position,
    }, markedName(visible(data.names[index])), lies);
    row.style.top = `${position * kRowHeight}px`;
    return row;
  }

  function drawRows() {
    const list = byId("list");
    const rows = byId("rows");
    rows.style.height = `${matches.length * kRowHeight}px`;
    const begin = Math.max(0, Math.floor(list.scrollTop / kRowHeight) - 4);
    const end = Math.min(matches.length, Math.ceil((list.scrollTop + (list.clientHeight || 800)) / kRowHeight) + 4);
    const made = [];
    for (let position = begin; position < end; ++position) made.push(rowOf(position));
    rows.replaceChildren(...made);
    const selected = rows.querySelector('[aria-selected="true"]');
    if (selected) list.setAttribute("aria-activedescendant", selected.id);
    else list.removeAttribute("aria-activedescendant");
  }

  function select(position) {
    if (!matches.length) return;
    position = Math.max(0, Math.min(matches.length - 1, position));
    if (!shown || shown.index !== matches[position]) show(matches[position]);
    const list = byId("list");
    byId("rows").style.height = `${matches.length * kRowHeight}px`;
    const top = position * kRowHeight;
    if (top < list.scrollTop) list.scrollTop = top;
    if (top + kRowHeight > list.scrollTop + list.clientHeight) list.scrollTop = top + kRowHeight - list.clientHeight;
    drawRows();
  }

  const positionOfShown = () => (shown ? matches.indexOf(shown.index) : -1);

  // Each filter: (form) => is it shown?
  const filters = new Map();

  function filter() {
    lowered = lowered || data.names.map((name) => name.toLowerCase());
    words = byId("search").value.toLowerCase().split(/\s+/).filter((word) => word);
    const formFits = data.forms.map((form) => [...filters.values()].every((fits) => fits(form)));
    matches = [];
    for (let i = 0; i < data.names.length; ++i) {
      if (formFits[data.form[i]] && words.every((word) => lowered[i].includes(word))) matches.push(i);
    }
    const all = data.names.length;
    byId("count").textContent = matches.length === all ? count(all, "parameter")
      : matches.length ? `${matches.length.toLocaleString("en")} of ${count(all, "parameter")}`
        : "No parameter matches.";
    byId("list").scrollTop = 0;
    if (matches.length) select(Math.max(0, positionOfShown()));
    else drawRows();
  }

  function addFilter(label, options, fitsOf) {
    if (options.length < 2) return;
    const menu = html("select", {}, html("option", { value: "" }, "all"),
      ...options.map(({ value, text }) => html("option", { value }, text)));
    menu.addEventListener("change", () => {
      if (menu.value === "") filters.delete(label);
      else filters.set(label, fitsOf(menu.value));
      filter();
    });
    byId("filters").append(html("label", { class: "field" }, html("span", {}, label), menu));
  }

  function addFilters() {
    const parameters = data.forms.map(() => 0);
    for (const form of data.form) ++parameters[form];
    data.sides.forEach((side, s) => {
      const prefix = compares ? `${side.role} ` : "";
      const counted = new Map();
      data.forms.forEach((form, f) => {
        for (const [, number] of form.sides[s]) counted.set(number, (counted.get(number) || 0) + parameters[f]);
      });
      const layouts = [...counted].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
      addFilter(`${prefix}layout`.replace(/^./, (c) => c.toUpperCase()),
        layouts.map(([number, n]) => ({ value: number, text: `${data.layouts[number].text}   (${n.toLocaleString("en")})` })),
        (value) => (form) => form.sides[s].some(([, number]) => number === Number(value)));
      addFilter(`${prefix}stage`.replace(/^./, (c) => c.toUpperCase()),
        side.stages.map(([stage, first, ranks], i) => ({ value: i, text: `stage ${stage}, ranks ${first}\u2013${first + ranks - 1}` })),
        (value) => (form) => form.sides[s].some(([stage]) => stage === Number(value)));
    });
    if (!compares) return;
    const isIn = (s) => (form) => form.sides[s].length > 0;
    const isAlike = (form) => JSON.stringify(form.sides[0]) === JSON.stringify(form.sides[1]);
    const kinds = {
      changed: ["laid out differently", (form) => isIn(0)(form) && isIn(1)(form) && !isAlike(form)],
      alike: ["laid out alike", (form) => isIn(0)(form) && isAlike(form)],
      source: ["only in the source", (form) => isIn(0)(form) && !isIn(1)(form)],
      target: ["only in the target", (form) => !isIn(0)(form) && isIn(1)(form)],
    };
    const there = Object.keys(kinds).filter((kind) => data.forms.some(kinds[kind][1]));
    addFilter("Change", there.map((kind) => ({ value: kind, text: kinds[kind][0] })), (kind) => kinds[kind][1]);
  }

  function listenToList() {
    const list = byId("list");
    const search = byId("search");
    list.addEventListener("scroll", drawRows, { passive: true });
    window.addEventListener("resize", drawRows);
    list.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) select(Number(row.dataset.position));
    });
    const page = () => Math.max(1, Math.floor(list.clientHeight / kRowHeight) - 1);
    const move = (event) => {
      const at = positionOfShown();
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page(), PageUp: at - page(), Home: 0, End: matches.length - 1 }[event.key];
      if (to === undefined || (event.target === search && (event.key === "Home" || event.key === "End"))) return;
      select(to);
      event.preventDefault();
    };
    list.addEventListener("keydown", move);
    search.addEventListener("keydown", move);
    search.addEventListener("input", filter);
    document.addEventListener("keydown", (event) => {
      const typing = event.target.matches("input, select, textarea");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
        search.focus();
        search.select();
        event.preventDefault();
      }
      if (event.key === "Escape" && chosen) choose(null);
    });
  }

  // ---------------------------------------------------------------------------------------- start

  function sideFacts(side) {
    const stages = side.stages.length > 1 ? `, ${count(side.stages.length, "stage")}` : "";
    return `${compares ? `${side.role}: ` : ""}${count(side.ranks, "device")}${stages}`;
  }

  function showHash() {
    let name = "";
    try {
      name = decodeURIComponent(location.hash.slice(1));
    } catch (error) {
      return false; // Somebody else's address.
    }
    const position = matches.indexOf(data.names.indexOf(name));
    if (position < 0) return false;
    const list = byId("list");
    byId("rows").style.height = `${matches.length * kRowHeight}px`;
    list.scrollTop = (position + 0.5) * kRowHeight - list.clientHeight / 2;
    select(position);
    return true;
  }

  byId("title").textContent = data.sides.map((side) => visible(side.file)).join(" \u2192 ");
  byId("facts").textContent = [...data.sides.map(sideFacts), count(data.names.length, "parameter"),
    count(data.layouts.length, "different layout")].join(" \u00b7 ");
  addFilters();
  listenToTensor();
  listenToList();
  matches = data.names.map((_, i) => i);
  byId("count").textContent = count(data.names.length, "parameter");
  if (!showHash()) filter();
  window.addEventListener("hashchange", showHash);
  performance.mark("relayout-drawn");
})();
