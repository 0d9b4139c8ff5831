-- include: prp
-- End what is overdue. Answers {ok, now}: the server's time in ms.
reap()
return answer(true, 'read')
