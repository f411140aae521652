// SPDX-License-Identifier: GPL-3.0-or-later
// SPDX-FileCopyrightText: 2026 The orchestrator.platform authors
//
// Shows the channels of the fake Discord. Every text of a message becomes a text node, never markup.
"use strict";

const REFRESH_MS = 700;
const MAX_SHOWN = 500; // messages in the page; older ones stay in /messages

const SAME_BLOCK_MS = 7 * 60_000; // messages of one author so close together share their head, as in Discord

// What is known: `after` is the last ordinal fetched; `kept` all messages of the page; `unread` counts by channel.
const state = { after: 0, channel: "", channels: {}, threads: {}, forums: [], kept: [], unread: {} };
const list = document.getElementById("messages");
const nav = document.getElementById("nav");
const newer = document.getElementById("newer");

function element(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children.filter((child) => child !== null));
  return made;
}

// Fences, inline code and bold: what our messages use of Discord's markdown.
function markdown(text) {
  const out = [];
  const pattern = /```(?:[\w+-]*\n)?([\s\S]*?)```|`([^`\n]+)`|\*\*([^*\n]+)\*\*/g;
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    if (match.index > at) out.push(text.slice(at, match.index));
    if (match[1] !== undefined) out.push(element("pre", "", match[1].replace(/\n$/, "")));
    else if (match[2] !== undefined) out.push(element("code", "", match[2]));
    else out.push(element("strong", "", match[3]));
    at = match.index + match[0].length;
  }
  if (at < text.length) out.push(text.slice(at));
  return out;
}

function clock(stamp) {
  const date = new Date(stamp);
  if (Number.isNaN(date.getTime())) return "";
  const time = date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return dayOf(stamp) === dayOf(Date.now()) ? "Today at " + time : date.toLocaleDateString() + " " + time;
}

function dayOf(stamp) {
  return new Date(stamp).toLocaleDateString([], { year: "numeric", month: "long", day: "numeric" });
}

function embedOf(embed) {
  const stripe = element("span", "stripe");
  if (embed.color) stripe.style.backgroundColor = "#" + Number(embed.color).toString(16).padStart(6, "0");
  const fields = (embed.fields || []).map((field) =>
    element("div", field.inline ? "field" : "field wide", element("b", "", ...markdown(field.name)), ...markdown(field.value)));
  const footer = [embed.footer ? embed.footer.text : "", embed.timestamp ? clock(embed.timestamp) : ""].filter(Boolean);
  return element("div", "embed", stripe, element("div", "card",
    embed.title ? element("div", "title", ...markdown(embed.title)) : null,
    embed.description ? element("div", "description", ...markdown(embed.description)) : null,
    fields.length ? element("div", "fields", ...fields) : null,
    footer.length ? element("div", "footer", footer.join(" • ")) : null));
}

function nameOf(channel) {
  return state.channels[channel] || "channel";
}

function messageOf(message, follows) {
  const name = message.author && message.author.username ? message.author.username : "?";
  const time = element("time", "time", clock(message.timestamp));
  time.dateTime = message.timestamp;
  const where = state.channel === message.channel_id ? null : element("span", "where", "#" + nameOf(message.channel_id));
  const made = element("li", follows ? "message follows" : "message", element("div", "avatar", name.slice(0, 1).toUpperCase()),
    element("div", "body", element("div", "head", element("span", "author", name),
      message.author && message.author.bot ? element("span", "tag", "APP") : null, where, time),
      message.content ? element("div", "content", ...markdown(message.content)) : null,
      ...(message.embeds || []).map(embedOf)));
  made.id = "message-" + message.id;
  return made;
}

// Messages of the chosen channel, and of a channel's threads.
function belongs(message) {
  return !state.channel || message.channel_id === state.channel || state.threads[message.channel_id] === state.channel;
}

function isAtEnd() {
  return list.scrollHeight - list.scrollTop - list.clientHeight < 80;
}

function toEnd() {
  list.scrollTop = list.scrollHeight;
  newer.hidden = true;
}

let last = null; // the message shown last

function show(messages) {
  const wasAtEnd = isAtEnd();
  for (const message of messages.filter(belongs)) {
    if (!last || dayOf(last.timestamp) !== dayOf(message.timestamp)) {
      list.append(element("li", "day", dayOf(message.timestamp)));
      last = null;
    }
    const follows = last !== null && last.webhook_id === message.webhook_id && last.channel_id === message.channel_id &&
      new Date(message.timestamp) - new Date(last.timestamp) < SAME_BLOCK_MS;
    list.append(messageOf(message, follows));
    last = message;
  }
  while (list.childElementCount > MAX_SHOWN) list.firstElementChild.remove();
  document.getElementById("empty").hidden = list.childElementCount > 0;
  if (wasAtEnd) toEnd();
  else if (messages.some(belongs)) newer.hidden = false;
}

function choose(channel) {
  state.channel = channel;
  showMenu(false);
  clearUnread(channel);
  list.replaceChildren();
  last = null;
  show(state.kept);
  showChannels();
  toEnd();
}

function showMenu(open) {
  nav.classList.toggle("open", open);
  document.getElementById("menu").setAttribute("aria-expanded", String(open));
}

function clearUnread(channel) {
  for (const id of Object.keys(state.unread)) {
    if (!channel || id === channel || state.threads[id] === channel) delete state.unread[id];
  }
}

function channelButton(id, mark, name, ...below) {
  const button = element("button", state.unread[id] ? "unread" : "", element("span", "hash", mark), element("span", "", name));
  button.type = "button";
  button.title = name;
  button.setAttribute("aria-current", String(id === state.channel));
  button.addEventListener("click", () => choose(id));
  return element("li", "", button, ...below);
}

function showChannels() {
  const threadsOf = (id) => Object.keys(state.threads).filter((thread) => state.threads[thread] === id);
  const entries = Object.entries(state.channels).filter(([id]) => !(id in state.threads)).map(([id, name]) => {
    const threads = threadsOf(id).map((thread) => channelButton(thread, "", nameOf(thread)));
    const mark = state.forums.includes(id) ? "❏" : "#";
    return channelButton(id, mark, name, threads.length ? element("ul", "", ...threads) : null);
  });
  document.getElementById("channels").replaceChildren(channelButton("", "#", "all"), ...entries);
  const parent = state.threads[state.channel];
  document.getElementById("channel").replaceChildren(
    element("span", "hash", state.forums.includes(state.channel) ? "❏" : "#"), " ",
    parent ? nameOf(parent) + " › " + nameOf(state.channel) : state.channel ? nameOf(state.channel) : "all");
}

function showStats(stats) {
  const statuses = Object.entries(stats.requests_by_status).map(([status, count]) => `${status}: ${count}`).join(" · ");
  document.getElementById("figures").textContent =
    `${stats.kept} messages · ${stats.embeds_kept} embeds` + (statuses ? ` · answers ${statuses}` : "");
  const fault = document.getElementById("fault");
  fault.textContent = stats.fault.mode === "ok" ? "answers normally" : "fault: " + stats.fault.mode;
  fault.classList.toggle("broken", stats.fault.mode !== "ok");
  const places = [stats.channels, stats.threads, stats.forums];
  if (JSON.stringify(places) !== JSON.stringify([state.channels, state.threads, state.forums])) {
    [state.channels, state.threads, state.forums] = places;
    showChannels();
  }
}

function take(messages) {
  state.after = messages[messages.length - 1].ordinal;
  state.kept = state.kept.concat(messages).slice(-MAX_SHOWN);
  const elsewhere = messages.filter((message) => !belongs(message));
  for (const message of elsewhere) state.unread[message.channel_id] = (state.unread[message.channel_id] || 0) + 1;
  if (elsewhere.length) showChannels();
  show(messages);
}

function remove(ids) {
  if (!state.kept.some((message) => ids.has(message.id))) return;
  state.kept = state.kept.filter((message) => !ids.has(message.id));
  for (const id of ids) {
    const shown = document.getElementById("message-" + id);
    if (shown) shown.remove();
  }
}

async function refresh() {
  try {
    const answer = await fetch("messages?after=" + state.after, { cache: "no-store" });
    const { messages, deleted, stats } = await answer.json();
    showStats(stats);
    if (stats.received < state.after) {
      // The server began anew.
      Object.assign(state, { after: 0, kept: [], unread: {} });
      list.replaceChildren();
      last = null;
    } else if (messages.length) {
      take(messages);
    }
    remove(new Set(deleted));
  } catch (problem) {
    document.getElementById("figures").textContent = "no connection; trying again";
  }
  setTimeout(refresh, REFRESH_MS);
}

document.getElementById("menu").addEventListener("click", () => showMenu(!nav.classList.contains("open")));
document.querySelector("main").addEventListener("click", (event) => {
  if (event.target.id !== "menu") showMenu(false);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") showMenu(false);
});
newer.addEventListener("click", toEnd);
list.addEventListener("scroll", () => {
  if (isAtEnd()) newer.hidden = true;
});
showChannels();
refresh();
