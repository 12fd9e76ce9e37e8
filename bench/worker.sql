SELECT count(aion.complete_activity(task_token)) FROM aion.poll_activities('{default}', 'bench', 10, '1 s');
