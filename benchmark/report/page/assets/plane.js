// The geometry of the trade-off: scales, axes, regions, the front's line.

const MARGIN = { left: 62, right: 18, top: 14, bottom: 48 };

// Round steps of 1, 2 or 5 times a power of ten.
function ticks(lo, hi, wanted) {
  const rough = (hi - lo) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough);
  const first = Math.ceil(lo / step);
  const found = [];
  for (let n = first; n * step <= hi + 1e-9 * step; n += 1) found.push(n * step);
  return { values: found, places: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

// From a scorer's unit to pixels, better always to the right or up; `each` is the pixels of one unit.
function scale(values, from, to, higher) {
  const lo = Math.min(...values);
  const hi = Math.max(...values);
  const room = (hi - lo || Math.abs(hi) || 1) * 0.08;
  const [a, b] = higher ? [lo - room, hi + room] : [hi + room, lo - room];
  const each = (to - from) / (b - a);
  return { lo: lo - room, hi: hi + room, each, at: (v) => from + (v - a) * each };
}

// How far the region (z - c)' V^-1 (z - c) <= q reaches along both axes.
function reach([x, y], region) {
  if (!region) return { x: [x, x], y: [y, y] };
  const [xx, , yy, q] = region;
  const [across, up] = [Math.sqrt(q * xx), Math.sqrt(q * yy)];
  return { x: [x - across, x + across], y: [y - up, y + up] };
}

// The region's edge in pixels, its turn in radians: its axes are the eigenvectors of the covariance in pixels.
function ellipse([x, y], [vxx, vxy, vyy, q], across, up) {
  const [a, b, d] = [vxx * across.each ** 2, vxy * across.each * up.each, vyy * up.each ** 2];
  const [middle, apart] = [(a + d) / 2, Math.hypot((a - d) / 2, b)];
  const half = (variance) => Math.sqrt(q * Math.max(0, variance));
  const turn = Math.atan2(2 * b, a - d) / 2;
  return { cx: across.at(x), cy: up.at(y), rx: half(middle + apart), ry: half(middle - apart), turn };
}

const ellipseMark = ({ cx, cy, rx, ry, turn }, attributes) =>
  svg("ellipse", { ...attributes, rx, ry, transform: `translate(${cx} ${cy}) rotate(${(turn * 180) / Math.PI})` });

// The edge of what the points in pixels dominate, from the left edge to the bottom.
function frontLine(points, left, bottom) {
  const beaten = ([x, y]) => points.some(([u, v]) => u >= x && v <= y && (u > x || v < y));
  const front = points.filter((point) => !beaten(point)).sort(([a, b], [c, d]) => a - c || b - d);
  return `M${left} ${front[0][1]}${front.map(([x, y]) => `V${y}H${x}`).join("")}V${bottom}`;
}

function drawAxes(picture, width, height, across, up, x, y) {
  const [bottom, right] = [height - MARGIN.bottom, width - MARGIN.right];
  const horizontal = ticks(across.lo, across.hi, width < 480 ? 4 : 7);
  const vertical = ticks(up.lo, up.hi, 5);
  const axes = svg("g", { class: "axes", "aria-hidden": "true" });
  for (const v of horizontal.values) {
    axes.append(svg("line", { x1: across.at(v), x2: across.at(v), y1: MARGIN.top, y2: bottom }));
    axes.append(svg("text", { x: across.at(v), y: bottom + 16, "text-anchor": "middle" }, number(v, horizontal.places)));
  }
  for (const v of vertical.values) {
    axes.append(svg("line", { x1: MARGIN.left, x2: right, y1: up.at(v), y2: up.at(v) }));
    axes.append(svg("text", { x: MARGIN.left - 6, y: up.at(v) + 4, "text-anchor": "end" }, number(v, vertical.places)));
  }
  const middle = (MARGIN.top + bottom) / 2;
  axes.append(svg("text", { class: "title", x: (MARGIN.left + right) / 2, y: height - 10, "text-anchor": "middle" }, `${short(scorers[x].title, 40)} → better`));
  axes.append(svg("text", { class: "title", "text-anchor": "middle", transform: `translate(14 ${middle}) rotate(-90)` }, `${short(scorers[y].title, 40)} → better`));
  picture.append(axes);
}

const box = (x, y, width, height) => ({ x, y, right: x + width, bottom: y + height });
const overlaps = (a, b) => a.x < b.right && b.x < a.right && a.y < b.bottom && b.y < a.bottom;

// Whether a place in pixels is within a region's ellipse.
function within({ cx, cy, rx, ry, turn }, x, y) {
  const [dx, dy] = [x - cx, y - cy];
  const [u, v] = [dx * Math.cos(turn) + dy * Math.sin(turn), dy * Math.cos(turn) - dx * Math.sin(turn)];
  return rx > 0 && ry > 0 && (u / rx) ** 2 + (v / ry) ** 2 < 1;
}

const WAYS = Array.from({ length: 16 }, (_, n) => (n * Math.PI) / 8);
const REACHES = [10, 18, 28, 40, 55, 75, 100, 130];

// The place about a point at which a text covers least and is near: off marks and texts, off regions if it can.
function freePlace(x, y, length, taken, regions, width, height) {
  const places = REACHES.flatMap((far) => WAYS.map((way) => {
    const [across, up] = [Math.cos(way), Math.sin(way)];
    const centre = [x + across * far + Math.sign(across.toFixed(6)) * length / 2, y + up * far + Math.sign(up.toFixed(6)) * 7];
    return { far, ...box(centre[0] - length / 2, centre[1] - 7, length, 14) };
  })).filter((b) => b.x >= MARGIN.left && b.right <= width && b.y > 0 && b.bottom < height && !taken.some((t) => overlaps(t, b)));
  const covered = (b) => regions.reduce((sum, region) => {
    const samples = [0, 0.25, 0.5, 0.75, 1].flatMap((s) => [b.y, b.bottom].map((v) => within(region, b.x + s * length, v)));
    return sum + samples.filter(Boolean).length / samples.length;
  }, 0);
  const worth = places.map((b) => ({ ...b, cost: 200 * covered(b) + b.far }));
  return worth.length ? worth.reduce((a, b) => (b.cost < a.cost ? b : a)) : null;
}

// The first texts are the more important; one that is far from its place has a line to it.
function drawLabels(picture, labels, taken, regions, width, height) {
  for (const { x, y, text, colour, ...attributes } of labels) {
    const label = svg("text", { "aria-hidden": "true", ...attributes }, text);
    picture.append(label);
    const length = label.getComputedTextLength();
    const free = freePlace(x, y, length, taken, regions, width, height);
    label.remove();
    if (!free) continue;
    taken.push(free);
    if (free.far > REACHES[1]) {
      const ends = { x2: Math.max(free.x, Math.min(x, free.right)), y2: y < free.y ? free.y : y > free.bottom ? free.bottom : y };
      picture.append(svg("line", { class: `leader ${colour ?? ""}`, x1: x, y1: y, ...ends }));
    }
    picture.append(fill(label, { x: free.x, y: free.y + 11 }));
  }
}
