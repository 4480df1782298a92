"""The test's bot, written with python-telegram-bot: see tests/all/telegram/foreign.rs.

    ptb_bot.py URL TOKEN CHAT
"""

import sys

from telegram import (
    BotCommand,
    BotCommandScopeChat,
    ForceReply,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    LinkPreviewOptions,
    ReplyParameters,
    Update,
)
from telegram.error import ChatMigrated, Forbidden, RetryAfter, TelegramError
from telegram.ext import Application, CallbackQueryHandler, ChatMemberHandler, CommandHandler, MessageHandler, filters

url, token, chat = sys.argv[1], sys.argv[2], int(sys.argv[3])


def buttons(*labels):
    return InlineKeyboardMarkup([[InlineKeyboardButton(label, callback_data=label.lower()) for label in labels]])


async def pending(update, context):
    message = update.message
    await context.bot.send_message(
        message.chat_id,
        "<b>ada</b> &lt;is&gt; dead",
        parse_mode="HTML",
        reply_markup=buttons("Restart", "Deny"),
        message_thread_id=message.message_thread_id if message.is_topic_message else None,
        reply_parameters=ReplyParameters(message.message_id, allow_sending_without_reply=True),
        link_preview_options=LinkPreviewOptions(is_disabled=True),
        disable_notification=True,
    )


async def tapped(update, context):
    query = update.callback_query
    if query.data == "restart":
        await query.answer("Restarting ada", show_alert=True)
        text = f"<b>ada</b> restarts, by {query.from_user.first_name}"
        await query.edit_message_text(text, parse_mode="HTML", reply_markup=buttons("Stop"))
    elif query.data == "stop":
        await query.answer()
        await query.edit_message_reply_markup(None)
    else:
        there = "there" if query.message.is_accessible else "gone"
        await query.answer(f"{there}: {query.data}")


async def file(update, context):
    sent = await update.message.reply_document(b"line\n" * 1000, filename="history.txt", caption="all of it")
    assert sent.document.file_size == 5000


async def received(update, context):
    message = update.message
    content = await (await message.document.get_file()).download_as_bytearray()
    await message.set_reaction("\N{THUMBS UP SIGN}")
    await message.reply_text(f"{message.document.file_name}: {content.decode()}", reply_markup=ForceReply())


async def wrong(update, context):
    bot, refused = context.bot, []
    for what, call in [
        ("entities", bot.send_message(chat, "<b>ada", parse_mode="HTML")),
        ("chat", bot.send_message(-42, "ada")),
        ("data", bot.send_message(chat, "ada", reply_markup=buttons("x" * 65))),
        ("answer", bot.answer_callback_query("no such")),
        ("edit", bot.edit_message_text("ada", chat_id=chat, message_id=99999)),
        ("delete", bot.delete_message(chat, 99999)),
        ("limit", bot.get_chat(chat)),
    ]:
        try:
            await call
        except RetryAfter as error:
            seconds = error.retry_after
            refused.append(f"{what}: wait {int(getattr(seconds, 'total_seconds', lambda: seconds)())}")
        except Forbidden as error:
            refused.append(f"{what}: forbidden {error.message}")
        except TelegramError as error:
            refused.append(f"{what}: {error.message}")
    await update.message.reply_text("\n".join(refused))


async def migrated(update, context):
    try:
        await context.bot.send_message(update.message.chat_id, "anybody here?")
    except ChatMigrated as error:
        await context.bot.send_message(error.new_chat_id, f"moved from {update.message.chat_id}")


async def moved(update, context):
    change = update.my_chat_member
    print(change.old_chat_member.status, "->", change.new_chat_member.status, flush=True)


async def stop(update, context):
    own = await update.message.reply_text("good bye")
    await own.delete()
    context.application.stop_running()


async def check(application):
    bot = application.bot
    me = await bot.get_me()
    assert me.is_bot and me.username == "lazarus_test_bot", me
    assert (await bot.get_webhook_info()).url == ""
    commands = [BotCommand("pending", "What waits for a decision")]
    scope = BotCommandScopeChat(chat)
    assert await bot.set_my_commands(commands, scope=scope)
    assert await bot.get_my_commands(scope=scope) == tuple(commands)
    assert await bot.get_my_commands() == ()
    full = await bot.get_chat(chat)
    assert full.title == "ops" and full.type == "supergroup", full
    member = await bot.get_chat_member(chat, me.id)
    assert member.status == "administrator", member
    assert [admin.status for admin in await bot.get_chat_administrators(chat)] == ["creator", "administrator"]


application = (
    Application.builder()
    .token(token)
    .base_url(f"{url}/bot")
    .base_file_url(f"{url}/file/bot")
    .post_init(check)
    .build()
)
application.add_handlers(
    [
        CommandHandler("pending", pending),
        CommandHandler("file", file),
        CommandHandler("wrong", wrong),
        CommandHandler("stop", stop),
        CallbackQueryHandler(tapped),
        ChatMemberHandler(moved, ChatMemberHandler.MY_CHAT_MEMBER),
        MessageHandler(filters.Document.ALL, received),
        MessageHandler(filters.StatusUpdate.MIGRATE, migrated),
    ]
)
application.run_polling(timeout=20, allowed_updates=Update.ALL_TYPES, stop_signals=())
