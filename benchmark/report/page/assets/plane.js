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

// The region's edge in pixels: its axes are the eigenvectors of the covariance in pixels.
function ellipse([x, y], [vxx, vxy, vyy, q], across, up) {
  const [a, b, d] = [vxx * across.each ** 2, vxy * across.each * up.each, vyy * up.each ** 2];
  const [middle, apart] = [(a + d) / 2, Math.hypot((a - d) / 2, b)];
  const half = (variance) => Math.sqrt(q * Math.max(0, variance));
  const angle = (Math.atan2(2 * b, a - d) * 90) / Math.PI;
  return {
    rx: half(middle + apart), ry: half(middle - apart),
    transform: `translate(${across.at(x)} ${up.at(y)}) rotate(${angle})`,
  };
}

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
  axes.append(svg("text", { class: "title", x: (MARGIN.left + right) / 2, y: height - 10, "text-anchor": "middle" }, `${short(scorers[x].name, 40)} → better`));
  axes.append(svg("text", { class: "title", "text-anchor": "middle", transform: `translate(14 ${middle}) rotate(-90)` }, `${short(scorers[y].name, 40)} → better`));
  picture.append(axes);
}

const box = (x, y, width, height) => ({ x, y, right: x + width, bottom: y + height });
const overlaps = (a, b) => a.x < b.right && b.x < a.right && a.y < b.bottom && b.y < a.bottom;

// Texts beside their places, as long as they cover nothing: the first ones are the more important.
function drawLabels(picture, labels, taken, width, height) {
  for (const { x, y, text, ...attributes } of labels) {
    const label = svg("text", { "aria-hidden": "true", ...attributes }, text);
    picture.append(label);
    const length = label.getComputedTextLength();
    const free = [[11, -8], [-11 - length, -8], [11, 18], [-11 - length, 18], [-length / 2, -14], [-length / 2, 24]]
      .map(([dx, dy]) => box(x + dx, y + dy - 11, length, 14))
      .find((b) => b.x >= MARGIN.left && b.right <= width && b.y > 0 && b.bottom < height && !taken.some((t) => overlaps(t, b)));
    if (!free) label.remove();
    else {
      taken.push(free);
      fill(label, { x: free.x, y: free.y + 11 });
    }
  }
}
